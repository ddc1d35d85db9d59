"""What tools/bench measured, as Markdown and as a chart."""

import html
import json
import math
import pathlib
import statistics

TITLES = {"ours": "levada", "go": "Go", "asio": "Asio"}
COLOURS = {"go": "#0a7ea4", "asio": "#7a5195", "tokio": "#c1440e", "flume": "#2f7d32", "async-channel": "#b8860b",
           "crossbeam": "#555555"}


def title(name):
    return TITLES.get(name, name)


def number(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


class Results:
    """`figures[threads][case][program]` are the figures of the rounds; `reasons` likewise, why there are none."""

    def __init__(self, cases, programs, aims):
        self.cases, self.programs = cases, programs
        self.aims = json.loads(pathlib.Path(aims).read_text())
        self.figures, self.reasons, self.once = {}, {}, set()

    def median(self, threads, case, program):
        found = self.figures.get(threads, {}).get(case, {}).get(program)
        return statistics.median(found) if found else None

    def rivals(self):
        return [p for p in self.programs if p != "ours"]

    def aim(self, threads, case):
        """Our aim here: as far from Go as where it was set."""
        set_at, go = self.aims.get(str(threads), {}).get(case), self.median(threads, case, "go")
        return set_at["aim"] / set_at["go"] * go if set_at and go else None

    def thread_tables(self, threads):
        ran = {p for case in self.figures[threads].values() for p in case}
        programs = [p for p in self.programs if p in ran or p == "ours"]
        rivals = programs[1:]
        head = ["case", "levada", "aim", "met"] + [title(r) for r in rivals]
        rows, spreads = [], []
        for case in self.cases:
            ours, aim = self.median(threads, case, "ours"), self.aim(threads, case)
            row = [case, "" if ours is None else number(ours), number(aim) if aim else "",
                   ("yes" if ours <= aim else "**no**") if aim and ours is not None else ""]
            for rival in rivals:
                theirs = self.median(threads, case, rival)
                mark = "¹" if (threads, case, rival) in self.once else ""
                ratio = f" ({theirs / ours:.1f}x)" if theirs is not None and ours else ""
                row.append("" if theirs is None else number(theirs) + mark + ratio)
            rows.append(row)
            spread = [case]
            for program in programs:
                found = self.figures.get(threads, {}).get(case, {}).get(program)
                spread.append(f"{number(min(found))}..{number(max(found))}" if found else "")
            spreads.append(spread)
        yield from table(head, rows)
        aims = [r for r in rows if r[3]]
        if aims:
            yield from ["", f"Aims met: {sum(r[3] == 'yes' for r in aims)} of {len(aims)}."]
        yield from ["", f"The least and the greatest, {threads} thread{'s' if threads > 1 else ''}:", ""]
        yield from table(["case"] + [title(p) for p in programs], spreads)

    def left_out(self, threads):
        by_reason = {}
        for case in self.cases:
            for program, why in self.reasons.get(threads, {}).get(case, {}).items():
                by_reason.setdefault((program, why), []).append(case)
        for (program, why), cases in by_reason.items():
            which = "every case" if len(cases) == len(self.cases) else "; ".join(cases)
            yield f"- left out: {title(program)}: {why}: {which}"

    def markdown(self, facts, notes, absent, chart):
        yield from ["# Results", "", "Written by `tools/bench`; not to be edited. ns per message or operation where the",
                    "name says nothing else: medians, and in brackets how many times ours that is.", "",
                    f"![How many times ours the others take]({chart})", ""]
        yield from [f"- {name}: {value}" for name, value in facts.items()]
        yield ""
        for note in notes:
            yield from [note, ""]
        for threads in self.figures:
            yield from [f"## {'One thread' if threads == 1 else f'{threads} threads'}", ""]
            yield from self.thread_tables(threads)
            yield ""
        if self.once:
            yield from ["¹ slow: run in the first round only", ""]
        yield "## Left out"
        missing = [f"- left out: {title(name)}: {why}" for name, why in absent.items()]
        yield from ["", *missing] if missing else []
        some = False
        for threads in self.figures:
            if lines := list(self.left_out(threads)):
                some = True
                yield from ["", f"On {'one thread' if threads == 1 else f'{threads} threads'}:", "", *lines]
        if not missing and not some:
            yield from ["", "Nothing."]

    def chart(self):
        """The ratios as SVG: a panel for each number of threads, a line for each case, a dot for each rival."""
        row, left, width, top = 17, 250, 620, 64
        rivals = self.rivals()
        ratios = {}
        for threads in self.figures:
            for case in self.cases:
                ours = self.median(threads, case, "ours")
                for rival in rivals:
                    theirs = self.median(threads, case, rival)
                    if ours and theirs:
                        ratios[threads, case, rival] = theirs / ours
        low = min([0.5, *ratios.values()])
        high = max([20.0, *ratios.values()])
        low, high = math.floor(math.log10(low) * 2) / 2, math.ceil(math.log10(high) * 2) / 2

        def x(ratio):
            return left + (math.log10(ratio) - low) / (high - low) * width

        body, y = [], top
        for i, rival in enumerate(rivals):
            body.append(f'<circle cx="{left + 8 + 100 * i}" cy="36" r="4.5" fill="{COLOURS[rival]}"/>'
                        f'<text x="{left + 18 + 100 * i}" y="40">{title(rival)}</text>')
        for threads in self.figures:
            shown = [c for c in self.cases if any((threads, c, r) in ratios for r in rivals)]
            body.append(f'<text x="10" y="{y}" font-weight="bold">{threads} thread{"s" if threads > 1 else ""}</text>')
            y += 8
            bottom = y + row * len(shown)
            for exponent in range(math.floor(low), math.ceil(high) + 1):
                for tick in (1, 2, 5):
                    ratio = tick * 10.0**exponent
                    if not low <= math.log10(ratio) <= high:
                        continue
                    colour = "#222" if ratio == 1 else "#ddd"
                    body.append(f'<line x1="{x(ratio):.1f}" y1="{y}" x2="{x(ratio):.1f}" y2="{bottom}" '
                                f'stroke="{colour}"/>'
                                f'<text x="{x(ratio):.1f}" y="{bottom + 13}" text-anchor="middle" '
                                f'font-size="10">{ratio:g}x</text>')
            for case in shown:
                y += row
                body.append(f'<text x="{left - 8}" y="{y - 4}" text-anchor="end">{html.escape(case)}</text>')
                for rival in rivals:
                    if (threads, case, rival) in ratios:
                        ratio = ratios[threads, case, rival]
                        body.append(f'<circle cx="{x(ratio):.1f}" cy="{y - 8}" r="4.5" fill="{COLOURS[rival]}" '
                                    f'fill-opacity="0.85"><title>{html.escape(case)}: {title(rival)} {ratio:.2f}x'
                                    f'</title></circle>')
            y = bottom + 44
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}" height="{y}" '
                          f'font-family="sans-serif" font-size="12">',
                          '<rect width="100%" height="100%" fill="white"/>',
                          '<text x="10" y="20" font-weight="bold" font-size="14">How many times ours the others take '
                          '(right of 1x: slower than levada)</text>', *body, "</svg>", ""])
