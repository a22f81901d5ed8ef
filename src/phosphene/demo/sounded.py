"""A take of `phosphene audio render`, carried out and written down from the same fields as the other takes are."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass

from phosphene.demo.piece import Stage, Stopped
from phosphene.features.audio_config import AudioConfig, SoundSignal
from phosphene.features.clip import Clips
from phosphene.features.render import Progress
from phosphene.features.sounding import Sounding
from phosphene.features.store import SoundStore
from phosphene.models import Model
from phosphene.recipe import RunConfig


@dataclass(frozen=True)
class SoundTake:
    """One `phosphene audio render`. cost: about how many picture-steps of a rendering it takes as long as."""

    targets: tuple[str, ...]
    steps: int
    cost: int
    signal: SoundSignal = AudioConfig.signal

    def command(self, stage: Stage, model: Model) -> str:
        """The command line that makes the clips, for a POSIX shell."""
        words = ["phosphene", "audio", "render", model.name, *self.targets]
        words += ["--steps", str(self.steps), "--seed", str(stage.seed)]
        words += ["--signal", self.signal] if self.signal != AudioConfig.signal else []
        return shlex.join([*words, *stage.machine, "--out", stage.folder.as_posix()])

    def sound(self, stage: Stage, model: Model) -> Generator[Progress, None, Clips]:
        """Carry it out; the clips, which are written."""
        config = AudioConfig(steps=self.steps, seed=stage.seed, signal=self.signal)
        run = RunConfig(stage.run.device, checkpoint_every=0)
        store = SoundStore(stage.folder)
        work = Sounding(model, self.targets, config, run, store=store)
        stage.begin(work)
        for event in work:
            if isinstance(event, Progress):
                yield stage.progress(event.done / event.total, self.cost, event.step)
        if not work.complete:
            store.clear()  # a demo starts anew
            raise Stopped
        clips = work.clips()
        stage.finish(self.cost, list(clips))
        return clips
