"""Memory of one case on the device."""

import atexit
import gc

import torch


def forget_imports() -> None:
    """Let the collector pass over what is there now: a process of the suite's own, all imported.

    Looking through torch's modules takes a quarter of a second each time. At the end they are to be
    seen again: libraries complain of what nobody gives back.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def fresh_memory(device: str) -> None:
    """Give back what earlier cases left, and start the peak anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_bytes(device: str) -> int | None:
    """Peak of allocated bytes since ``fresh_memory``; None where the device does not tell."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def is_lost(device: str) -> bool:
    """Whether an error left the device unusable for this process, as a CUDA assertion does."""
    try:
        synchronize(device)
    except RuntimeError:
        return True
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is an allocation that failed, on the GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    texts = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
