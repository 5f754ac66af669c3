"""Settings of the documentation site; `make site` builds it without a network."""

import harness

project = "classification-harness"
author = "the classification-harness authors"
project_copyright = f"2026, {author}"
version = release = harness.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
default_role = "code"  # docstrings write names between single backticks

myst_heading_anchors = 3
nb_execution_mode = "off"  # tests/test_docs.py runs the notebook

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80  # longer ones get a line for each parameter

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}
