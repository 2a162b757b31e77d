"""Stands in for Colab's own package, as far as the course could notice it.

Code that asks whether it runs on Colab looks for `google.colab` in `sys.modules` or in the name of the shell. What
would ask the reader's browser or their Drive raises here: no notebook of the course may need it.
"""

from google.colab import drive, files, output  # noqa: F401  (there without being asked for, as on Colab)
