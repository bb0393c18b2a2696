"""What Streamlit runs at every interaction: the page of the studies in a folder."""

import sys
from pathlib import Path

from spinforge.evaluation.dashboard.page import show_page
from spinforge.flows.dashboard_studies import RunFolders

show_page(RunFolders(Path(sys.argv[1])))
