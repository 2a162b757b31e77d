"""The verdict on an exercise: a sentence to whoever works at it, points to whoever grades a class.

A check is a function that returns a sentence. An unanswered exercise must not stop the notebook, so its sentence is
only printed. nbgrader gives points for every cell that does not raise, so when it grades, every other sentence than
"Well done" is raised as well.

Notebook: the exercises at the end of each.
"""

import os

PASSED = "Well done"


def graded(sentence: str) -> None:
    """Prints what a check found.

    Raises:
        AssertionError: nbgrader is executing the notebook, and the sentence does not begin with "Well done".
    """
    print(sentence)
    if "NBGRADER_EXECUTION" in os.environ:
        assert sentence.startswith(PASSED), sentence
