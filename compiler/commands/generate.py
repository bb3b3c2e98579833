"""`autoglmc generate`: text from a decoder's bundle, or from one of several models that sees images."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .line.failures import INTERRUPTED
from .line.image_options import Pictures, image_options
from .line.limit_options import limit_options
from .line.options import FILE, emulate_option, trust_option
from .line.output import Output, echo_json, output_options
from .line.prompt_text import prompt_of
from .line.resident_option import resident_option

if TYPE_CHECKING:
    from ..run.bundle import Bundle
    from ..run.decoder.linked_tokens import Parts
    from ..run.decoder.sampling import Sampling
    from ..text.generate_text import Generated
    from ..text.tokenizer import Tokenizer

TOKENIZER = "The model's tokenizer.json, or the folder that has it: files beside it say which tokens end a text, and how a chat is written."
PROMPT_FILE = "A text file with the prompt, - for stdin; a line break at its end is left out."
CHAT = "The prompt is what a user says: write it as the model's chat template does."
END = "A token that ends the text, by its name or id, in place of those that the model's files name. Repeatable."
STOP = "A text that ends the generation, and is not printed. Repeatable."
TEMPERATURE = "Draw tokens, logits divided by this; below 1 likely ones are drawn more often [default with --top-k or --top-p: 1]."
SEEDS = 1 << 31


@click.command("generate", short_help="Text from a decoder's bundle, token by token.")
@click.argument("bundle", type=FILE)
@click.option("--tokenizer", required=True, type=FILE, help=TOKENIZER)
@click.option("--prompt", metavar="TEXT", help="What the text goes on from.")
@click.option("--prompt-file", type=FILE, metavar="FILE", help=PROMPT_FILE)
@image_options
@click.option("--chat", is_flag=True, help=CHAT)
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Tokens to make at most.")
@click.option("--greedy", is_flag=True, help="Take the likeliest token each time; the default unless an option for drawing is given.")
@click.option("--temperature", type=click.FloatRange(0, min_open=True), help=TEMPERATURE)
@click.option("--top-k", type=click.IntRange(1), help="Draw from so many tokens, the likeliest.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw from the likeliest tokens that together are this likely.")
@click.option("--seed", type=click.IntRange(0), help="Draw the same tokens as every run with this seed.")
@click.option("--stop", "stops", multiple=True, metavar="TEXT", help=STOP)
@click.option("--end", "ends", multiple=True, metavar="TOKEN", help=END)
@resident_option()
@trust_option
@emulate_option
@limit_options
@output_options(quiet="Print only the text.")
def generate_command(
    bundle: Path,
    tokenizer: Path,
    prompt: str | None,
    prompt_file: Path | None,
    chat: bool,
    max_tokens: int,
    greedy: bool,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    stops: tuple[str, ...],
    ends: tuple[str, ...],
    resident: int | None,
    pictures: Pictures,
    trust: tuple[Path, ...],
    emulate: bool,
    out: Output,
) -> int:
    """Print the text with which the decoder in BUNDLE goes on from a prompt, as it is made; how fast, on stderr.

    BUNDLE was compiled with --state, and with --link where other models look up words and see images: see docs/decoders.md. Ctrl-C ends the
    text where it is, with exit code 130.
    """
    from ..run.bundle import Bundle
    from ..run.decoder.image_places import image_places
    from ..run.decoder.tokens import OwnTokens
    from ..text.generate_text import Wanted, generate_text
    from ..text.tokenizer import Tokenizer

    pictures.check()
    text = prompt_of(prompt, prompt_file)
    sampling = _sampling(greedy, temperature, top_k, top_p, seed)
    words = Tokenizer(tokenizer)
    last = tuple(words.id_of(word) for word in ends) or words.ends()
    wanted = Wanted(max_tokens=max_tokens, ends=last, stops=stops, sampling=sampling)
    loaded = Bundle.load(bundle, trust=trust)
    parts = _parts(loaded, pictures)
    placeholder = _placeholder(words, parts, pictures)
    given = [] if parts is None else pictures.read(parts.image_inputs, words.file.parent, out.note)
    ids = _ids(words, text, chat, placeholder, len(given))
    options: dict[str, Any] = {}
    if parts is not None:
        options = {"images": parts.images(loaded.manifest, given), "image_token": placeholder, "release_encoder": pictures.release_encoder}
        ids = image_places(ids, placeholder, len(given), parts.rows)[0]
    session: Any = loaded.session(emulate=emulate, resident=resident)
    few = words.check_fits(OwnTokens(session).vocabulary if parts is None else parts.vocabulary, ends)
    unknown = "" if last else "no token is known to end the text: give it with --end"
    for note in (few, words.twice_begun(ids), unknown, *loaded.notes, *session.notes):
        if note:
            out.note(note)
    found = generate_text(partial(session.generate, **options), words, ids, wanted, (lambda part: None) if out.as_json else _show)
    _print(found, sampling, session.emulated, out)
    return INTERRUPTED if found.finish == "interrupted" else 0


def _parts(loaded: Bundle, pictures: Pictures) -> Parts | None:
    """What the models of the bundle do; None where it has one. Raises UsageError for a bundle that makes no tokens, and for images where
    nothing sees them."""
    from ..errors import UsageError
    from ..run.decoder.linked_tokens import Parts

    manifest, where = loaded.manifest, str(loaded.folder)
    if not manifest.states or not manifest.states[0].length:
        help = "compile the model with --state 'past.*=present.*' --max-length N --bucket decode"
        raise UsageError("the bundle keeps no caches: tokens cannot follow each other", where=where, help=help)
    parts = Parts(manifest) if manifest.links else None
    wanted = pictures.any or pictures.release_encoder
    if wanted and parts is not None and parts.unclear:
        parts.check_sees()
    if wanted and (parts is None or parts.encoder is None):
        help = "compile the one that does beside it, with --link MODEL.OUTPUT=DECODER.INPUT@image"
        raise UsageError("no model of the bundle sees images", where=where, help=help)
    return parts


def _placeholder(words: Tokenizer, parts: Parts | None, pictures: Pictures) -> int | None:
    """The id in whose place an image goes; None where no model sees images, and where there are none and no file says which id it is. Where
    a file says so, a prompt that has it and no image is refused."""
    from ..errors import UsageError

    if parts is None or parts.encoder is None:
        return None
    if pictures.image_token is not None:
        return words.id_of(pictures.image_token)
    try:
        return words.image_token()
    except UsageError:
        if pictures.any:
            raise
        return None


def _ids(words: Tokenizer, prompt: str, chat: bool, placeholder: int | None, images: int) -> list[int]:
    """Of a chat, images are parts of what the user says, in front of the text, unless that has their places itself."""
    from ..text.chat import chat_text

    if not chat:
        return words.encode(prompt)
    content: Any = prompt
    if images and placeholder not in words.encode(prompt, special=False):
        content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
    return words.encode(chat_text(words, [{"role": "user", "content": content}]), special=False)


def _sampling(greedy: bool, temperature: float | None, top_k: int | None, top_p: float | None, seed: int | None) -> Sampling:
    """Where tokens are drawn there is a seed, so that what came out can be had again."""
    import secrets

    from ..errors import UsageError
    from ..run.decoder.sampling import Sampling

    drawn = {"--temperature": temperature, "--top-k": top_k, "--top-p": top_p}
    given = next((name for name, value in drawn.items() if value is not None), None)
    if given is None:
        if seed is not None:
            raise UsageError("--seed means nothing where no token is drawn", help="give --temperature, --top-k or --top-p beside it")
        return Sampling()
    if greedy:
        raise UsageError(f"--greedy and {given} exclude each other")
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_k=top_k or 0,
        top_p=1.0 if top_p is None else top_p,
        seed=secrets.randbelow(SEEDS) if seed is None else seed,
    )


def _show(part: str) -> None:
    """Text at once, as it is; on a terminal, what is no text must not command it."""
    from ..report.printable import printable

    click.echo(printable(part, keep="\n\t") if sys.stdout.isatty() else part, nl=False)
    sys.stdout.flush()


def _print(found: Generated, sampling: Sampling, emulated: tuple[str, ...], out: Output) -> None:
    if out.as_json:
        facts: dict[str, Any] = found.as_json() | {"emulated": list(emulated)}
        facts["sampling"] = None if sampling.greedy else {name: getattr(sampling, name) for name in sampling.__dataclass_fields__}
        echo_json(facts)
        return
    from ..report.generated import lines

    click.echo()
    for line in lines(found.as_json(), None if sampling.greedy else sampling.seed, emulated):
        out.note(line)
