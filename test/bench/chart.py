"""Line charts as SVG, and tables as Markdown, with the standard library alone."""
import html
import math

# Hues that colour-blind readers tell apart (after Okabe and Ito).
COLOURS = ("#0b6fb8", "#d1570a", "#0a8a63", "#b0498e", "#a07800", "#7a3db8", "#c0263b", "#00838f")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 290, 56, 12, 30, 62


def short(value):
    """A number as a tick shows it: 16K, 0.05, 1M where `value` is a power of two; else decimal."""
    for factor, unit in ((1 << 20, "M"), (1 << 10, "K")):
        if value >= factor and value % factor == 0:
            return f"{value // factor:.0f}{unit}"
    return f"{value:.3g}"


def ticks(low, high):
    """About five multiples of 1, 2 or 5 times a power of ten."""
    step = 10 ** math.floor(math.log10((high - low) / 4 or 1))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def decades(low, high):
    return [10.0 ** e for e in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]


def panel(title, x_label, y_label, series, log=False):
    """One chart as a group of SVG elements. `series` is [(name, [(x, y), ...])]; a name that begins with "floor" is dashed. With `log` both axes are, and
    the x axis has a tick at each point of the first series."""
    points = [point for _, line in series for point in line]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    scale = math.log if log else float
    if log:
        low, high, x_ticks = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)) + 1e-9), [x for x, _ in series[0][1]]
        y_ticks = decades(low, high)
    else:
        margin = 0.05 * (max(ys) - min(ys) or 1)
        low, high, x_ticks = min(ys) - margin, max(ys) + margin, ticks(0, max(xs))
        y_ticks = [round(y, 9) for y in ticks(low, high)]
        xs.append(0)

    def across(x):
        return LEFT + (scale(x) - scale(min(xs))) / ((scale(max(xs)) - scale(min(xs))) or 1) * (WIDTH - LEFT - RIGHT)

    def down(y):
        return TOP + (scale(high) - scale(y)) / (scale(high) - scale(low)) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="18" font-weight="600">{html.escape(title)}</text>']
    for y in y_ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}" stroke="#e4e7eb"/>'
                     f'<text x="{LEFT - 6}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in x_ticks:
        parts.append(f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{short(x)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - BOTTOM + 32}" text-anchor="middle">{html.escape(x_label)}</text>'
                 f'<text transform="translate(12 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text>')
    at = LEFT
    for i, (name, line) in enumerate(series):
        colour, dash = COLOURS[i % len(COLOURS)], ' stroke-dasharray="5 4"' if name.startswith("floor") else ""
        places = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.2" fill="{colour}"/>' for x, y in line]
        parts.append(f'<text x="{at:.0f}" y="{HEIGHT - 8}" fill="{colour}">{html.escape(name)}</text>')
        at += 7 * len(name) + 14
    return "".join(parts)


def svg(panels, columns=2):
    """A picture of panels in rows."""
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    placed = "\n".join(f'<g transform="translate({i % columns * WIDTH} {i // columns * HEIGHT})">{each}</g>' for i, each in enumerate(panels))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}" width="{columns * WIDTH}" font-family="sans-serif" '
            f'font-size="11" fill="#333"><rect width="100%" height="100%" fill="#fff"/>\n{placed}\n</svg>\n')


def markdown(lines):
    """A table of texts; the first line is its head."""
    head, *lines = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]) + "\n"
