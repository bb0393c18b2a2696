"""Names of the columns of `history.csv`; apart, so that readers need not load Lightning."""

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "validation_loss",
    "validation_dice_pooled",
    "learning_rate",
    "seconds",
)
