"""Files of weights: a network's arguments and its numbers, read back into a network like it."""

from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import as_writable, load_tensors, save_tensors
from hsisr_lite.uafl.network import UAFL


def save_weights(network, path):
    """Write a network to a file, whole or not at all.

    Parameters
    ----------
    network : UAFL
    path : str or Path

    Raises
    ------
    InputError
        Anything but a UAFL, or a path that cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> path = tempfile.mkdtemp() + "/uafl.pt"
    >>> network = UAFL(width=8, blocks=(1, 1))
    >>> save_weights(network, path)
    >>> again = load_weights(path)
    >>> torch.equal(again.head.weight, network.head.weight)
    True
    """
    if not isinstance(network, UAFL):
        raise InputError(
            f"the network is of type {type(network).__name__}: a UAFL is needed; of one that is "
            "wrapped for several processes, pass its .module."
        )
    weights = {name: values.cpu() for name, values in network.state_dict().items()}
    save_tensors({"arguments": network.arguments, "weights": weights}, as_writable(path))


def load_weights(path):
    """The network of a file that :func:`save_weights` wrote, on the CPU, ready to fuse.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    network : UAFL

    Raises
    ------
    InputError
        No such file, one that holds no UAFL, or weights that do not fit their arguments.
    """
    content = load_tensors(path)
    try:
        if not isinstance(content, dict):
            raise TypeError(type(content).__name__)
        network = UAFL(**content["arguments"])
        network.load_state_dict(content["weights"])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} holds no UAFL that this package can build ({type(error).__name__}): a file "
            "that save_weights has written is needed; name another or make it again."
        ) from error
    return network.eval()
