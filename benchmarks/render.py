"""How fast feature visualization is: against the bare network, against torch-lucent, and in units per minute.

    cost  = step of the engine / (forward + gradient to the input) of the same truncated network        (1 is free)
    speed = torch-lucent's seconds per picture and step / ours;   reach = its seconds to a score / ours to that score

Seconds on a shared machine mean little, so the two sides of a ratio take turns (`common.paired`) and what is quoted is
the median ratio and its range over the rounds. Results go into docs/benchmarks.md, one section each.

    python benchmarks/setup_peer.py              # once: the environment of torch-lucent
    python benchmarks/render.py --threads 2 --rounds 9
    python benchmarks/render.py --quick          # does it run? writes nothing
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from common import Paired, Peer, describe, machine, paired, peak_rss_mib, seconds, table, write_section
from setup_peer import PEER, python_of
from torch import Tensor, nn

from phosphene.engine import Loop, Step, arithmetic, optimize
from phosphene.engine.batching import CPU_ROWS, batch_rows, kept_bytes
from phosphene.media import quantize
from phosphene.models import Model, load
from phosphene.models.weights import find_weights
from phosphene.objectives import Channel, Objective
from phosphene.recipe import RenderConfig, RunConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier
from phosphene.transforms import build

SIDE = 224  # pixels; what both networks were trained on
PERIOD = 8  # steps; how often the engine looks for silent rows, so that a round has one look
PEER_UNITS = (3, 50, 100)  # channels of features.12 that torch-lucent's pictures do excite
PEER_STEPS = 512  # torch-lucent's own default
COMPANY = tuple(range(101, 101 + CPU_ROWS - len(PEER_UNITS)))  # units that fill the engine's batch
GPU_SIDE, GPU_STEPS, GPU_LAYER = 128, 512, "inception4a"  # lucid's tutorial settings (Olah et al. 2017)

COST_TARGETS = {"squeezenet1_1": 1.25, "vgg16": 1.10}  # at most
SPEED_TARGET, REACH_TARGET = 5.0, 6.0  # at least


@dataclass(frozen=True)
class Case:
    """A network cut behind a layer. cut: how many modules of `net.features` that is. steps: engine steps a round."""

    network: str
    layer: str
    cut: int
    steps: int
    warm_up: int
    weights: str | None = None

    @property
    def title(self) -> str:
        return f"{self.network} to {self.layer}"


# SqueezeNet's units are silent at first and take the redirected rectifiers; 48 steps later all of these have woken up
CASES = (
    Case("squeezenet1_1", "features.12", 13, steps=PERIOD, warm_up=48),
    Case("vgg16", "features.28", 29, steps=1, warm_up=2, weights="random"),  # time does not depend on the weights
)


@dataclass(frozen=True)
class Options:
    """The command line."""

    threads: int
    rounds: int
    quick: bool
    sections: tuple[str, ...]


# --- what is run ---


def ready(model: Model, run: RunConfig) -> Model:
    """The model as the engine prepares it for `run`."""
    how = arithmetic(run)
    return model.prepared(how.device, dtype=how.dtype, memory_format=how.memory_format)


def steps_of(model: Model, objective: Objective, *, side: int, steps: int) -> Iterator[Step]:
    """The engine's loop at its defaults (Fourier, standard transforms, Adam), not yet started."""
    bound = objective.bind(model)
    signal = Fourier(bound.rows, size=(side, side)).to(model.device)
    signal.start(Generators(0, [bound.identity(row) for row in range(bound.rows)]))
    transform = build(TransformConfig(), size=(side, side), steps=steps)
    return optimize(bound, model, signal, transform, RenderConfig(size=side, steps=steps))


def advance(steps: Iterator[Step], count: int) -> Step:
    """Take `count` steps and give the last."""
    *_, last = islice(steps, count)
    return last


def bare_step(net: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Forward, and gradient to the input, in plain torch."""

    def work() -> Tensor:
        (gradient,) = torch.autograd.grad(net(x).sum(), x)
        return gradient

    return work


def per_step(work: Callable[[], object], steps: int) -> Callable[[], float]:
    """A side for `paired`: seconds per step."""
    side = seconds(lambda: [work() for _ in range(steps)])
    return lambda: side() / steps


# --- the engine's own cost ---


def cost(case: Case, run: RunConfig, options: Options) -> Paired:
    """Seconds of a bare step (a) and of the engine's (b), batch of CPU_ROWS."""
    model = ready(load(case.network, weights=case.weights), replace(run, device="cpu"))
    bare = nn.Sequential(*list(model.net.features)[: case.cut])  # type: ignore[arg-type, union-attr]
    x = torch.rand(CPU_ROWS, 3, SIDE, SIDE).to(model.dtype).contiguous(memory_format=model.memory_format)
    units = range(CPU_ROWS)
    count, warm_up, rounds = (1, 1, 1) if options.quick else (case.steps, case.warm_up, options.rounds)
    steps = steps_of(model, Channel(case.layer, units), side=SIDE, steps=10_000)  # never ends: the ranges stay as wide
    advance(steps, warm_up)
    ours = per_step(lambda: next(steps), count)
    return paired(per_step(bare_step(bare, x.requires_grad_()), count), ours, rounds)


def cost_section(options: Options) -> str:
    """The table of costs, in the arithmetic that `auto` takes here and in float32."""
    auto = arithmetic(RunConfig(device="cpu")).precision
    rows = []
    for case in CASES:
        for precision in dict.fromkeys([auto, "float32"]):
            run = RunConfig(precision="bfloat16" if precision == "bfloat16" else "float32")
            measured = cost(case, run, options)
            most = COST_TARGETS[case.network]
            target = f"{most:.2f}: {'met' if measured.ratio <= most else 'missed'}"
            rows.append([case.title, precision, measured.a, measured.b, str(measured), target])
    header = ("network", "arithmetic", "bare s/step", "engine s/step", "ratio", "at most")
    return f"""## The engine's own cost

A step of the engine over the bare network: forward and gradient to the input of the same truncated network in plain
torch (`nn.Sequential` of the same modules), batch {CPU_ROWS}, {SIDE} px, frozen weights, channels_last, the same number
format. `auto` takes {auto} on this machine. The rest of a step is the Fourier picture, one resampling, and Adam.

{table(header, rows)}

The picture, its FFT and its resampling are float32 always. In bfloat16 a small network is twice as fast and they are
not, so their share is larger there.
"""


# --- against torch-lucent ---


@dataclass(frozen=True)
class Run:
    """One whole run of ours: seconds per picture, and the activation of each of PEER_UNITS."""

    seconds: float
    reached: tuple[float, ...]


def our_run(model: Model, units: Sequence[int], steps: int) -> Run:
    """Render `units` from start to end; the activation is measured in float32 on the untransformed 8-bit picture."""
    prepared = ready(model, RunConfig(device="cpu"))
    start = perf_counter()
    last = advance(steps_of(prepared, Channel("features.12", units), side=SIDE, steps=steps), steps)
    spent = perf_counter() - start
    with torch.no_grad():
        pictures = quantize(last.signal())
        maps = model.activations(pictures, ["features.12"])["features.12"]
    places = [(list(units).index(unit), unit) for unit in PEER_UNITS]
    return Run(spent / len(units), tuple(float(maps[row, unit].mean()) for row, unit in places))


def their_run(peer: Peer, steps: int) -> Run:
    """The same units by torch-lucent, one picture after another, as it works."""
    runs = [peer.ask({"unit": unit, "steps": steps}) for unit in PEER_UNITS]
    return Run(sum(run["seconds"] for run in runs) / len(runs), tuple(run["activation"] for run in runs))


def step_speed(model: Model, peer: Peer, options: Options) -> Paired:
    """Seconds per picture and step: ours (a) in the engine's own batch, theirs (b)."""
    prepared = ready(model, RunConfig(device="cpu"))
    units = (*PEER_UNITS, *COMPANY)
    count, rounds = (1, 1) if options.quick else (2 * PERIOD, options.rounds)
    steps = steps_of(prepared, Channel("features.12", units), side=SIDE, steps=10_000)
    advance(steps, 1 if options.quick else CASES[0].warm_up)
    ours = per_step(lambda: next(steps), count)
    theirs = {"unit": PEER_UNITS[0], "steps": 2 * PERIOD if not options.quick else 1}
    return paired(lambda: ours() / len(units), lambda: float(peer.ask(theirs)["seconds_per_step"]), rounds)


def time_to_reach(model: Model, peer: Peer, units: Sequence[int], options: Options) -> tuple[Paired, Run, Run]:
    """Seconds per picture of whole runs, ours (a) and theirs (b), with the last run of each."""
    kept: dict[str, Run] = {}
    our_steps, their_steps = (2, 2) if options.quick else (RenderConfig().steps, PEER_STEPS)

    def ours() -> float:
        kept["ours"] = our_run(model, units, our_steps)
        return kept["ours"].seconds

    def theirs() -> float:
        kept["theirs"] = their_run(peer, their_steps)
        return kept["theirs"].seconds

    rounds = 1 if options.quick else max(1, options.rounds // 3)
    measured = paired(ours, theirs, rounds, warm_up=0)
    return measured, kept["ours"], kept["theirs"]


def peer_command(threads: int) -> list[str]:
    """What starts torch-lucent's side. Raises SystemExit where its environment was not made."""
    python = python_of(PEER)
    if not python.exists():
        raise SystemExit("no environment of torch-lucent; make it with: python benchmarks/setup_peer.py")
    script = Path(__file__).with_name("peer_lucent.py")
    weights = find_weights("squeezenet1_1")
    return [str(python), str(script), "--weights", str(weights), "--serve", "--threads", str(threads)]


def peer_section(options: Options) -> str:
    """The tables of speed, of time to a score, and of memory."""
    model = load("squeezenet1_1")
    with Peer(peer_command(options.threads)) as peer:
        facts = peer.ask({})
        speed = step_speed(model, peer, options)
        batch, full, lucent = time_to_reach(model, peer, (*PEER_UNITS, *COMPANY), options)
        our_peak = peak_rss_mib()
        alone, three, _ = time_to_reach(model, peer, PEER_UNITS, replace(options, rounds=1))
        their_peak = float(peer.ask({})["peak_rss_mib"])
    steps = RenderConfig().steps
    ratios = [
        ["seconds per picture and step", speed.a, speed.b, str(speed), f"{SPEED_TARGET:g}x"],
        [f"whole run per picture, {CPU_ROWS} at once", batch.a, batch.b, str(batch), f"{REACH_TARGET:g}x"],
        [f"whole run per picture, {len(PEER_UNITS)} at once", alone.a, alone.b, str(alone), ""],
        ["peak memory of the process, MiB", our_peak, their_peak, f"{their_peak / our_peak:.2f}x", ""],
    ]
    reached = [
        [unit, *values, "yes" if values[0] >= values[2] else "no"]
        for unit, *values in zip(PEER_UNITS, full.reached, three.reached, lucent.reached, strict=True)
    ]
    auto = arithmetic(RunConfig(device="cpu")).precision
    return f"""## Against torch-lucent

SqueezeNet 1.1 `features.12`, canvas {SIDE} px, torch-lucent {facts["peer"]["torch-lucent"]} as shipped (kornia
{facts["peer"]["kornia"]}, its default transforms, {PEER_STEPS} steps) in a process of its own on the same torch and
{options.threads} threads. phosphene at its defaults: {steps} steps, {CPU_ROWS} pictures a batch, {auto} in the network.

{table(("", "phosphene", "torch-lucent", "less", "at least"), ratios)}

Activation reached (mean over space of the channel, float32, on the untransformed 8-bit picture) by those whole runs:

{table(("unit", f"phosphene, {CPU_ROWS} at once", "3 at once", "torch-lucent", "reached"), reached)}

What differs: torch-lucent renders one picture at a time, so its memory is that of one and ours that of {CPU_ROWS};
it shows the network 248 to 273 px of view where we show {SIDE}; it computes gradients of the weights too (it does not
freeze them); it resamples twice and runs the whole network, where we resample once and stop behind the layer asked
for; it computes in float32.
"""


# --- on an accelerator ---


def units_per_minute(options: Options) -> tuple[int, float]:
    """The batch that the engine chooses and the units per minute of one whole batch, after a warm-up."""
    run = RunConfig(device="cuda")
    prepared = ready(load("googlenet", weights="random"), run)
    units = prepared.find_layer(GPU_LAYER).channels

    def row_bytes() -> int:
        objective = Channel(GPU_LAYER, 0).bind(prepared)
        signal = Fourier(1, size=(GPU_SIDE, GPU_SIDE)).to(prepared.device)
        transform = build(TransformConfig(), size=(GPU_SIDE, GPU_SIDE), steps=GPU_STEPS)
        loop = Loop(objective, prepared, signal, transform, RenderConfig(size=GPU_SIDE))
        return kept_bytes(lambda: loop.scores(0))

    rows = batch_rows(units, run, prepared.device, row_bytes)
    count = PERIOD if options.quick else GPU_STEPS
    spent = []
    for length in (PERIOD, *[count] * (1 if options.quick else max(1, options.rounds // 3))):
        steps = steps_of(prepared, Channel(GPU_LAYER, range(rows)), side=GPU_SIDE, steps=length)
        torch.cuda.synchronize()
        spent.append(seconds(lambda: (advance(steps, length), torch.cuda.synchronize()))())  # noqa: B023 - called now
    return rows, rows * 60 / median(spent[1:])


def accelerator_section(options: Options) -> str:
    """Units per minute, or that there was no accelerator."""
    title = "## On an accelerator\n\n"
    if not torch.cuda.is_available():
        return (
            title + "Not measured: this machine has no CUDA device. `python benchmarks/render.py` on one fills this in."
        )
    rows, rate = units_per_minute(options)
    return (
        f"{title}GoogLeNet `{GPU_LAYER}`, {GPU_SIDE} px, {GPU_STEPS} steps, random weights, "
        f"{torch.cuda.get_device_name()}: **{rate:.0f} units per minute**, {rows} at once (the engine's choice)."
    )


SECTIONS: dict[str, Callable[[Options], str]] = {
    "peer": peer_section,  # first: its peak memory is that of the process so far
    "cost": cost_section,
    "accelerator": accelerator_section,
}


def arguments() -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the speed of feature visualization.")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch, on both sides (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each comparison (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only see that it runs; writes nothing")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="what to measure")
    given = parser.parse_args()
    if given.threads < 1 or given.rounds < 1:
        parser.error("--threads and --rounds are whole numbers from 1")
    return Options(given.threads, given.rounds, given.quick, tuple(name for name in SECTIONS if name in given.sections))


def main() -> None:
    """Measure, print each section, and put it into the document."""
    options = arguments()
    torch.set_num_threads(options.threads)
    for name in options.sections:
        facts = machine()
        text = f"{SECTIONS[name](options).strip()}\n\nMeasured on: {describe(facts)}"
        print(text, end="\n\n", flush=True)
        if not options.quick:
            write_section(f"render-{name}", text)


if __name__ == "__main__":
    main()
