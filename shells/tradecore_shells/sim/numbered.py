"""O2 of one topic: frames by number, repetitions identical, nothing missing, nothing too early."""

from __future__ import annotations

from tradecore.envelope import decode
from tradecore_shells.sim.log import Broker

__all__ = ["numbered_frames"]

_FRAME = 64


def numbered_frames(
    broker: Broker, topic: str, partition: int, source: int
) -> tuple[list[bytes], list[str]]:
    """Return the frames of a numbered topic in order of their numbers, from 1, and what is wrong.

    Whatever was written twice must be the same both times, no number may be missing, and none may
    come before the one in front of it: a reader would have stopped there.
    """
    known: dict[int, bytes] = {}
    wrong: list[str] = []
    for offset, (_, payload) in enumerate(broker.partition(topic, partition).all):
        envelope = decode(payload)
        if envelope.source != source:
            wrong.append(f"O2 {topic} offset {offset}: source {envelope.source:#x}")
        if envelope.first_seq > (top := max(known, default=0)) + 1:
            wrong.append(f"O2 {topic} offset {offset}: {envelope.first_seq} comes behind {top}")
        frames = bytes(envelope.frames)
        for index in range(0, len(frames), _FRAME):
            seq = envelope.first_seq + index // _FRAME
            frame = frames[index : index + _FRAME]
            if known.setdefault(seq, frame) != frame:
                wrong.append(f"O2 {topic} offset {offset}: frame {seq} differs from its repetition")
    top = max(known, default=0)
    missing = [seq for seq in range(1, top + 1) if seq not in known]
    if missing:
        wrong.append(f"O2 {topic}: {len(missing)} numbers are missing, the first is {missing[0]}")
    return [known[seq] for seq in sorted(known)], wrong[:3]
