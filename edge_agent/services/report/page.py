"""The report of a recording: one HTML page that needs nothing else."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from pathlib import Path

from edge_agent.domain import Read, counted, folded
from edge_agent.reading.journal import Refusal
from edge_agent.services.report.recorder import Recorder, SightNotes, TrackNotes, crop
from edge_agent.services.truth import TruePass, Verdict

MOST_VOTES = 10
"""Sights shown of a track, those that counted most."""

MOST_NEAR = 4
"""Tracks named that were in sight while a plate was missed, those that say what is most like it."""

MOST_REFUSED = 200
"""Tracks without a read that are shown, the longest ones; a long drive has thousands."""

DOUBT_BELOW = 0.8
"""A character's confidence under which its bar is red."""

CHARACTER_PX, TIME_PX = 9.0, 40.0
"""How much room the timeline gives a character of a plate, and a time."""

_CSS = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class _Pass:
    """A read as its last correction has it, its track, and its judgement: right, wrong, or read without a truth."""

    read: Read
    notes: TrackNotes
    state: str
    tag: str


def page(
    name: str,
    recorder: Recorder,
    reads: Sequence[Read],
    verdict: Verdict | None,
    *,
    notes: Sequence[str] = (),
) -> str:
    """The whole page; reads after corrections. With a verdict what was missed and read wrong comes first.

    Notes are lines for its head: what it was read with, why it ends early.
    """
    passes = sorted(_passes(recorder, reads, verdict), key=lambda one: (one.state != "wrong", one.notes.times))
    refused = [one for one in recorder.tracks.values() if not one.reads]
    refused.sort(key=lambda one: -len(one.sights))
    missed = [_missed(one, recorder, None) for one in verdict.missed] if verdict else []
    missed += [_missed(one, recorder, taken) for one, taken in verdict.misread] if verdict else []
    seen = f"{counted(recorder.stages['frames'], 'frame')}, {_time(recorder.seconds)} of recording"
    if passed_over := recorder.stages["passed over"]:
        seen += f"; {passed_over} of them passed over, as they came sooner than max_fps has it"
    if unchanged := recorder.stages["frames"] - recorder.stages["looked at"] - passed_over:
        seen += f"; {unchanged} of them not looked at, as they show what the one before did"
    parts = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="soft">{seen}. Plates read by edge-agent; for official purposes alone.</p>',
        *(f"<p>{escape(note)}.</p>" for note in notes),
        _numbers(passes, refused, verdict),
        "<h2>Timeline</h2>",
        _timeline(passes, refused[:MOST_REFUSED], verdict, recorder),
        "<h2>What became of what was found</h2>",
        _stages(recorder, refused),
    ]
    if missed:
        parts += ["<h2>In the truth, and not read right</h2>", f'<div class="cards">{"".join(missed)}</div>']
    parts.append("<h2>Reads</h2>")
    cards = "".join(_card(one) for one in passes)
    parts.append(f'<div class="cards">{cards}</div>' if cards else '<p class="soft">No plate was read.</p>')
    if refused:
        shown = "".join(_refused(one) for one in refused[:MOST_REFUSED])
        more = f" (the {MOST_REFUSED} longest of them)" if len(refused) > MOST_REFUSED else ""
        parts.append(
            f"<details><summary>{counted(len(refused), 'track')} without a read{more}</summary>"
            f'<div class="cards">{shown}</div></details>'
        )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}: plates read</title><style>{_CSS.read_text(encoding='utf-8')}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _passes(recorder: Recorder, reads: Sequence[Read], verdict: Verdict | None) -> Iterator[_Pass]:
    wrong = {read.id for read in verdict.others} if verdict else set()
    again = {read.id for read in verdict.repeated} if verdict else set()
    for notes in recorder.tracks.values():
        for read in reads:
            if not any(one.id == read.id and one.revision == read.revision for one in notes.reads):
                continue
            if verdict is None:
                yield _Pass(read, notes, "read", "read")
            elif read.id in wrong:
                yield _Pass(read, notes, "wrong", "not in the truth")
            elif read.id in again:
                yield _Pass(read, notes, "wrong", "a second time")
            else:
                yield _Pass(read, notes, "right", "right")


def _numbers(passes: Sequence[_Pass], refused: Sequence[TrackNotes], verdict: Verdict | None) -> str:
    cells = [("reads", str(len(passes))), ("tracks without a read", str(len(refused)))]
    if verdict:
        cells = [
            ("plate in the truth" if verdict.plates == 1 else "plates in the truth", str(verdict.plates)),
            ("captured", str(verdict.captured)),
            ("read right", str(verdict.right)),
            ("other reads", str(len(verdict.others))),
            ("duplicates", str(len(verdict.repeated))),
            cells[1],
        ]
    return f'<div class="numbers">{"".join(f"<div><b>{value}</b>{what}</div>" for what, value in cells)}</div>'


def _stages(recorder: Recorder, refused: Sequence[TrackNotes]) -> str:
    stages = recorder.stages
    widest = f", up to {recorder.widest_narrow_px:.0f} px" if stages["too narrow"] else ""
    rows = [
        ("detector", "found in the frames together", stages["detections"]),
        ("reader", "doubted by the detector, and no plate's lettering", stages["disbelieved"]),
        ("tracker", f"narrower than min_plate_width_px{widest}", stages["too narrow"]),
        ("tracker", f"sights of {counted(len(recorder.tracks), 'track')}", stages["sights"]),
        ("tracker", "of these not read again, as the text was sure and the plate as wide", stages["followed"]),
    ]
    why = Counter(one.refusal for one in refused if one.refusal is not None)
    rows += [("vote", f"tracks: {refusal}", why[refusal]) for refusal in Refusal if why[refusal]]
    cells = "".join(
        f'<tr><td class="soft">{stage}</td><td>{what}</td><td class="number">{count}</td></tr>'
        for stage, what, count in rows
    )
    return f'<div class="frame"><table>{cells}</table></div>'


def _timeline(
    passes: Sequence[_Pass], refused: Sequence[TrackNotes], verdict: Verdict | None, recorder: Recorder
) -> str:
    """Bars over time, packed into rows: reads with their text; what was missed or not read as thin lines below."""
    width, left, seconds = 1000.0, 8.0, max(recorder.seconds, 0.1)
    scale = (width - 2 * left) / seconds
    colours = {"right": "--good", "wrong": "--bad", "read": "--mark"}
    out, rows = [], list[float]()
    for one in sorted(passes, key=lambda one: one.notes.times):
        begin, end = (left + at * scale for at in one.notes.times)
        text_px = CHARACTER_PX * len(one.read.text)
        text_begin = min(begin, width - left - text_px)
        row = next((k for k, free in enumerate(rows) if free <= text_begin), len(rows))
        rows[row : row + 1] = [max(end, text_begin + text_px) + 6]
        y = 4 + row * 30
        out.append(
            f'<a href="#t{one.notes.number}"><title>{escape(one.read.text)}, {_time(one.notes.times[0])}</title>'
            f'<rect x="{begin:.1f}" y="{y}" width="{max(3.0, end - begin):.1f}" height="10" rx="3"'
            f' fill="var({colours[one.state]})"/>'
            f'<text x="{text_begin:.1f}" y="{y + 22}">{escape(one.read.text)}</text></a>'
        )
    base = 14 + 30 * len(rows)
    for notes in refused:
        begin, end = (left + at * scale for at in notes.times)
        out.append(
            f'<rect x="{begin:.1f}" y="{base}" width="{max(2.0, end - begin):.1f}" height="5" fill="var(--idle)"/>'
        )
    a_frame = (width - 2 * left) / max(1, recorder.stages["frames"] - 1)
    for missed in verdict.missed if verdict else ():
        begin, end = (min(left + frame * a_frame, width - left) for frame in (missed.first, missed.last))
        out.append(
            f'<rect x="{begin:.1f}" y="{base + 1}" width="{max(3.0, end - begin):.1f}" height="8" rx="3"'
            f' fill="none" stroke="var(--bad)"><title>{escape(missed.text)} missed</title></rect>'
        )
    step = next((s for s in (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600) if seconds / s <= 12), 7200)
    for k in range(int(seconds / step) + 1):
        x = left + k * step * scale
        out.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base + 12}" y2="{base + 17}" stroke="var(--soft)"/>'
            f'<text x="{min(x, width - left - TIME_PX):.1f}" y="{base + 30}">{_time(k * step)}</text>'
        )
    legend = "Coloured: read. Grey: a track without a read."
    if verdict:
        legend = (
            "Green: right. Red: not in the truth, or a second time; a frame: missed. Grey: a track without a read."
        )
    return (
        f'<div class="frame"><svg class="timeline" viewBox="0 0 {width:.0f} {base + 36}" style="min-width:900px"'
        f' role="img" aria-label="Reads over time">{"".join(out)}</svg><p class="soft">{legend}</p></div>'
    )


def _card(one: _Pass) -> str:
    read, notes = one.read, one.notes
    region = f", {escape(read.region.code.upper())} ({read.region.confidence:.2f})" if read.region else ""
    others = ", ".join(f"{escape(other.text)} ({other.confidence:.2f})" for other in read.candidates)
    corrected = [f"{escape(earlier.text)}" for earlier in notes.reads if earlier.text != read.text]
    begin, end = notes.times
    lines = [
        f"confidence {read.confidence:.2f}{region}",
        f"in sight {_time(begin)} to {_time(end)}, frames {notes.frames[0]} to {notes.frames[1]}",
        _voters(one),
        *([f"or: {others}"] if others else []),
        *([f"first read as {', '.join(corrected)}"] if corrected else []),
    ]
    return (
        f'<article class="{one.state}" id="t{notes.number}"><div class="top">'
        f'{_image(crop(read), f"plate {read.text}")}<div><span class="plate">{escape(read.text)}</span>'
        f' <span class="tag">{one.tag}</span><p class="soft">{"<br>".join(lines)}</p></div></div>'
        f"{_characters(read)}{_votes(notes.voted)}{_curves(notes.sights)}</article>"
    )


def _voters(one: _Pass) -> str:
    """Which frames the read was given from: those without a character have no vote, nor the least of very many."""
    voted, read, evidence = len(one.notes.voted), one.read, f"evidence of {one.notes.evidence:.1f}"
    of = f" of {read.frames}" if voted < read.frames else ""
    unread = sum(sight.frame <= read.frame_numbers[1] and not sight.weight for sight in one.notes.sights)
    sure = f", {unread} not read again as it was sure" if unread else ""
    shown = f"; the {MOST_VOTES} that counted most" if voted > MOST_VOTES else ""
    return f"given from {voted}{of} frames up to {read.frame_numbers[1]}{sure}, {evidence}{shown}"


def _refused(notes: TrackNotes) -> str:
    why = notes.refusal or "the recording ended"
    text = escape(notes.text or notes.best.text) or "&nbsp;"
    return (
        f'<article id="t{notes.number}"><span class="plate">{text}</span> <span class="tag">{why}</span>'
        f'<p class="soft">{_time(notes.times[0])}, frames {notes.frames[0]} to {notes.frames[1]},'
        f" {counted(len(notes.sights), 'sight')}, evidence of {notes.evidence:.1f}</p>"
        f"{_votes(notes.sights)}{_curves(notes.sights)}</article>"
    )


def _missed(one: TruePass, recorder: Recorder, taken: Read | None) -> str:
    """A plate of the truth that was missed, or taken for another."""
    near = sorted(
        (
            notes
            for notes in recorder.tracks.values()
            if notes.frames[0] <= one.last and notes.frames[1] >= one.first
        ),
        key=lambda notes: -SequenceMatcher(None, folded(notes.said), one.text, autojunk=False).ratio(),
    )
    found = "".join(
        f'<li><a href="#t{notes.number}">{escape(notes.said) or "-"}</a>:'
        f" {'read' if notes.reads else notes.refusal or 'the recording ended'}</li>"
        for notes in near[:MOST_NEAR]
    )
    what = f"<p>What was seen then:</p><ul>{found}</ul>" if found else "<p>Nothing was found then.</p>"
    picture, tag = recorder.pictures.get(one.middle), "missed"
    shown = f'{_image(picture, f"frame {one.middle}")}<p class="soft">frame {one.middle}</p>' if picture else ""
    if taken is not None:
        tag = f"read as {escape(taken.text)}"
        shown = f'<p class="top">{_image(crop(taken), f"plate {taken.text}")}</p>'
    return (
        f'<article class="missed"><span class="plate">{escape(one.text)}</span> <span class="tag">{tag}</span>'
        f'<p class="soft">frames {one.first} to {one.last}</p>{shown}{what}</article>'
    )


def _characters(read: Read) -> str:
    bars = "".join(
        f'<span{" class=doubt" if share < DOUBT_BELOW else ""} title="{share:.3f}">{escape(character)}'
        f'<i style="--share:{100 * share:.0f}%"></i><small>{share:.2f}</small></span>'
        for character, share in zip(read.text, read.character_confidences, strict=True)
    )
    return f'<div class="characters">{bars}</div>'


def _votes(sights: Sequence[SightNotes]) -> str:
    chosen = sorted(sorted(sights, key=lambda one: -one.weight)[:MOST_VOTES], key=lambda one: one.frame)
    most = max((one.weight for one in chosen), default=0.0) or 1.0
    return f'<div class="votes">{"".join(_vote(one, one.weight / most) for one in chosen)}</div>'


def _vote(one: SightNotes, share: float) -> str:
    image = _image(one.thumbnail, f"frame {one.frame}", 0.35 + 0.65 * share)
    return (
        f'<figure title="weight {one.weight:.3f}">{image}'
        f"<figcaption>{escape(one.text) or '-'}<br>#{one.frame} {one.confidence:.2f}</figcaption></figure>"
    )


def _curves(sights: Sequence[SightNotes]) -> str:
    if len(sights) < 2:
        return ""
    widths, sharp = [one.width_px for one in sights], [one.sharpness for one in sights]
    times = [one.at_s for one in sights]
    width = f"{_curve(times, widths)}<small>width {min(widths):.0f} to {max(widths):.0f} px</small>"
    sharpness = f"{_curve(times, sharp)}<small>sharpness {min(sharp):.2f} to {max(sharp):.2f}</small>"
    return f'<div class="curves"><div>{width}</div><div>{sharpness}</div></div>'


def _curve(times: Sequence[float], values: Sequence[float]) -> str:
    begin, span, most = times[0], max(times[-1] - times[0], 1e-6), max(*values, 1e-6)
    points = " ".join(
        f"{2 + 176 * (at - begin) / span:.1f},{50 - 46 * value / most:.1f}"
        for at, value in zip(times, values, strict=True)
    )
    return (
        '<svg viewBox="0 0 180 54" aria-hidden="true"><line x1="0" x2="180" y1="52" y2="52" stroke="var(--line)"/>'
        f'<polyline points="{points}" fill="none" stroke="var(--mark)" stroke-width="1.5"/></svg>'
    )


def _image(file: bytes, alt: str, opacity: float = 1.0) -> str:
    style = f' style="opacity:{opacity:.2f}"' if opacity < 1 else ""
    return f'<img alt="{escape(alt)}"{style} src="data:image/jpeg;base64,{base64.b64encode(file).decode()}">'


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}:{rest:04.1f}" if minutes else f"{rest:.1f} s"
