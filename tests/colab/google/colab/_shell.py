from ipykernel.zmqshell import ZMQInteractiveShell


class Shell(ZMQInteractiveShell):
    """`get_ipython()` in the simulated Colab; its name is what other packages look at."""
