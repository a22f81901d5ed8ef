"""`phosphene texture`: a texture like that of an example, of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.console import Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, pixels
from phosphene.cli.reconstruct import Device, Metadata, Named, Precision, ended, seen, show
from phosphene.cli.style import open_network
from phosphene.files import atomic_write, spare
from phosphene.media import png_bytes
from phosphene.recipe import Edges, RunConfig, TextureConfig
from phosphene.style.texture import Texturing

Picture = Parameter(group="Picture")


def texture(
    style: Path,
    /,
    *,
    model: Named = None,
    size: Annotated[str | None, Picture] = None,
    steps: Annotated[int, Picture] = TextureConfig.steps,
    seed: Annotated[int, Picture] = TextureConfig.seed,
    scale: Annotated[float, Picture] = TextureConfig.scale,
    seamless: Annotated[bool, Parameter(negative="", group="Picture")] = TextureConfig.seamless,
    edges: Annotated[Edges, Picture] = TextureConfig.edges,
    style_layers: Annotated[str | None, Picture] = None,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    precision: Precision = RunConfig.precision,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/texture"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Synthesize a texture like that of a picture, of any size, from noise.

    Examples: `phosphene texture brick.jpg --size 512x768`, `... --seamless`, `... --seed 1` (another of the same).

    Parameters
    ----------
    style
        The picture whose texture is wanted.
    size
        Pixels, N or HEIGHTxWIDTH; the example's aspect and at most 256 when left out.
    steps
        Steps of L-BFGS at each scale.
    seed
        Seed of the noise that it starts from.
    scale
        Size of the pattern: 2 is twice that of the example, which is shrunk to the result's size first if larger.
    seamless
        Make a tile: its right edge continues at its left one, its lower edge at its upper one.
    edges
        Edges of the network's convolutions: its own, or with the outermost units repeated; a tile has none.
    style_layers
        Layers that hold the style, joined by commas; chosen for the network when left out.
    out
        Folder for the picture, its recipe, and sheet.png with the example beside it.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    config = TextureConfig(pixels(size), steps, seed, scale, seamless, edges, style_layers)
    example = seen(style, "example", screen)
    _, network = open_network(model, opened, screen)
    work = Texturing(network, example, config, RunConfig(device, precision), folder=out, metadata=metadata)
    spare([style], work.files(out))
    show(work, screen)
    result = work.result()
    sheet = atomic_write(out / "sheet.png", png_bytes(result.sheet()))
    height, width = result.panel.size
    if screen.as_json:
        screen.json(
            {
                "path": relative(result.panel.path),
                "sheet": relative(sheet),
                "model": network.name,
                "size": [width, height],
                "seamless": seamless,
                "loss": result.loss,
                "share_of_noise": result.share,
                "status": result.panel.status,
                "seconds": result.panel.seconds,
            }
        )
    screen.result(
        f"{relative(result.panel.path)}  {width}x{height}  loss {result.loss:.3g}, {100 * result.share:.2g}% of noise's"
    )
    screen.result(f"{relative(sheet)}  beside the example")
    return ended(work.complete, out, screen)
