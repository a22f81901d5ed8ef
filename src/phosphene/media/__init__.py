"""Pictures and sounds in and out: any photograph comes in as sRGB, any (c, h, w) tensor goes out exactly.

    read_picture(path)      -> an 8-bit image, as a viewer shows it; `decode`
    read_pixels(path)       -> a tensor with up to 16 bits, and notes; `deep`
    to_tensor, from_tensor  -> between the two, exactly; `levels`
    read_sound(path)        -> a tensor (channels, samples) at a rate, and notes; `sound`, `wav`
    loudness, leveled       -> how loud a sound is, and may be; `loudness`
    write_picture(path, x)  -> PNG, TIFF, JPEG, WebP or AVIF, by the file's suffix; `encode`

Nothing hidden is written, no clock and no name of a machine: the same pixels and text give the same bytes.
"""

from phosphene.media.decode import FORMATS as FORMATS
from phosphene.media.decode import MAX_PIXELS as MAX_PIXELS
from phosphene.media.decode import decode_picture as decode_picture
from phosphene.media.decode import opaque as opaque
from phosphene.media.decode import read_picture as read_picture
from phosphene.media.deep import Reading as Reading
from phosphene.media.deep import read_pixels as read_pixels
from phosphene.media.encode import animation_bytes as animation_bytes
from phosphene.media.encode import encode_picture as encode_picture
from phosphene.media.encode import output_format as output_format
from phosphene.media.encode import write_picture as write_picture
from phosphene.media.kept import kept as kept
from phosphene.media.kept import samples_sha256 as samples_sha256
from phosphene.media.levels import Bits as Bits
from phosphene.media.levels import Picture as Picture
from phosphene.media.levels import array_bytes as array_bytes
from phosphene.media.levels import from_tensor as from_tensor
from phosphene.media.levels import panels as panels
from phosphene.media.levels import pixels_sha256 as pixels_sha256
from phosphene.media.levels import quantize as quantize
from phosphene.media.levels import read_array as read_array
from phosphene.media.levels import to_tensor as to_tensor
from phosphene.media.loudness import leveled as leveled
from phosphene.media.loudness import loudness as loudness
from phosphene.media.loudness import true_peak as true_peak
from phosphene.media.png import png_bytes as png_bytes
from phosphene.media.sound import read_sound as read_sound
from phosphene.media.sound import sound_length as sound_length
from phosphene.media.wav import from_levels as from_levels
from phosphene.media.wav import read_info as read_info
from phosphene.media.wav import to_levels as to_levels
from phosphene.media.wav import wav_bytes as wav_bytes
