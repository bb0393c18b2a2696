"""Textbook signal equations, independent of the extended phase graphs they judge."""

import math


def spin_echo(t1, t2, *, tr, te, b1=1.0):
    """90-180 echo without stimulated echoes."""
    excite, refocus = math.pi / 2 * b1, math.pi * b1
    half, rest = math.exp(-te / 2 / t1), math.exp(-(tr - te / 2) / t1)
    mz = (1 - rest + rest * math.cos(refocus) * (1 - half)) / (
        1 - rest * half * math.cos(excite) * math.cos(refocus)
    )
    return mz * math.sin(excite) * math.sin(refocus / 2) ** 2 * math.exp(-te / t2)


def dual_echo(t1, t2, *, tr, early_te, te, b1=1.0):
    """90-180-180 echoes: z after all events is p z + q; both echoes from its fixed point."""
    excite, refocus = math.cos(math.pi / 2 * b1), math.cos(math.pi * b1)
    p, q = 1.0, 0.0
    for flip, wait in ((excite, early_te / 2), (refocus, te / 2), (refocus, None)):
        p, q = p * flip, q * flip
        e = math.exp(-(tr - (early_te + te) / 2 if wait is None else wait) / t1)
        p, q = p * e, 1 - e + q * e
    mz, echo = q / (1 - p), math.sin(math.pi * b1 / 2) ** 2
    amplitude = mz * math.sin(math.pi / 2 * b1) * echo
    return amplitude * math.exp(-early_te / t2), amplitude * echo * math.exp(-te / t2)


def ernst(t1, *, tr, flip):
    """Ideally spoiled gradient echo right after the pulse."""
    e1 = math.exp(-tr / t1)
    return math.sin(flip) * (1 - e1) / (1 - e1 * math.cos(flip))


def freeman_hill(t1, t2, *, tr, flip):
    """Balanced steady state on resonance, alternating pulses, right after the pulse."""
    e1, e2 = math.exp(-tr / t1), math.exp(-tr / t2)
    return math.sin(flip) * (1 - e1) / (1 - (e1 - e2) * math.cos(flip) - e1 * e2)


def inversion_recovery(t1, t2, *, tr, te, ti):
    """180 - TI - 90 - 180 echo, nominal angles."""
    recovered = 1 - 2 * math.exp(-ti / t1) + 2 * math.exp(-(tr - te / 2) / t1) - math.exp(-tr / t1)
    return recovered * math.exp(-te / t2)


def mprage(t1, *, tr, ti, flip, spacing, echoes):
    """Inversion and a train of ideally spoiled pulses, right after the central pulse.

    Between pulses z goes to z cos(flip) E + 1 - E; the whole repetition is affine in z.
    """
    before, after = echoes // 2, echoes - echoes // 2

    def wait(z, time):
        e = math.exp(-time / t1)
        return z * e + 1 - e

    def until_centre(z):
        z = wait(-z, ti - before * spacing)
        for _ in range(before):
            z = wait(z * math.cos(flip), spacing)
        return z

    def repetition(z):
        z = until_centre(z)
        for _ in range(after):
            z = wait(z * math.cos(flip), spacing)
        return wait(z, tr - ti - after * spacing)

    offset = repetition(0.0)
    start = offset / (1 - (repetition(1.0) - offset))
    return until_centre(start) * math.sin(flip)
