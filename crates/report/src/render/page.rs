//! A page with a film of events and a slider, complete in itself.

use super::{PALETTE, Picture, zoom};
use spikegrad::data::events::Events;
use std::fmt::Write;

/// The page's behaviour: draws a part, plays all of them.
const SCRIPT: &str = "
const canvas = document.querySelector('canvas'), slider = document.querySelector('input');
const label = document.querySelector('output'), button = document.querySelector('button');
const context = canvas.getContext('2d');
let timer = null;
function draw() {
  const part = +slider.value;
  context.fillStyle = palette[0];
  context.fillRect(0, 0, width * zoom, height * zoom);
  const list = parts[part];
  for (let i = 0; i < list.length; i += 2) {
    context.fillStyle = palette[list[i + 1]];
    context.fillRect(list[i] % width * zoom, Math.floor(list[i] / width) * zoom, zoom, zoom);
  }
  label.textContent = (part * step).toFixed(1) + ' ms';
}
function play() {
  if (timer) { clearInterval(timer); timer = null; button.textContent = 'Play'; return; }
  button.textContent = 'Stop';
  timer = setInterval(() => { slider.value = (+slider.value + 1) % parts.length; draw(); }, 80);
}
slider.addEventListener('input', draw);
button.addEventListener('click', play);
draw();
";

/// The part with the most pixels that are not ground: the first may show nothing yet.
fn fullest(parts: &[Picture]) -> usize {
    let lit = |part: &Picture| part.pixels.iter().filter(|colour| **colour != 0).count();
    (0..parts.len()).fold(0, |best, k| if lit(&parts[k]) > lit(&parts[best]) { k } else { best })
}

/// Encodes the parts of a recording.
pub fn encode(parts: &[Picture], events: &Events) -> String {
    let (width, height, zoom) = (parts[0].width, parts[0].height, zoom(&parts[0]));
    let (count, span) = (events.len(), events.duration() as f64 / 1000.0);
    let on = events.list.iter().filter(|event| event.on).count();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{count} events</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem;color:#1f2328;background:#fff}}\
         canvas{{border:1px solid #d8dee4;max-width:100%;display:block;margin:.5rem 0}}\
         input{{width:{}px;max-width:70%;vertical-align:middle}}</style>\n\
         <h1>{count} events in {span:.1} ms</h1>\n\
         <p>{on} ON (orange), {} OFF (blue), {width}×{height} pixels.</p>\n\
         <canvas width=\"{}\" height=\"{}\"></canvas>\n\
         <button>Play</button> <input type=\"range\" min=\"0\" max=\"{}\" value=\"{}\"> <output></output>\n<script>\n",
        width * zoom,
        count - on,
        width * zoom,
        height * zoom,
        parts.len() - 1,
        fullest(parts)
    );
    let colours: Vec<String> = PALETTE.iter().map(|[r, g, b]| format!("'#{r:02x}{g:02x}{b:02x}'")).collect();
    let _ = write!(
        page,
        "const width = {width}, height = {height}, zoom = {zoom}, step = {:.3};\nconst palette = [{}];\n\
         const parts = [\n",
        span / parts.len() as f64,
        colours.join(",")
    );
    for part in parts {
        let lit = part.pixels.iter().enumerate().filter(|(_, colour)| **colour != 0);
        let numbers: Vec<String> = lit.map(|(at, colour)| format!("{at},{colour}")).collect();
        let _ = writeln!(page, "[{}],", numbers.join(","));
    }
    page + "];" + SCRIPT + "</script>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::events::Sensor;

    #[test]
    fn the_page_opens_on_the_fullest_part() {
        let part = |pixels: [u8; 3]| Picture { width: 3, height: 1, pixels: pixels.to_vec() };
        let parts = [part([0, 0, 0]), part([1, 0, 5]), part([0, 8, 2]), part([7, 0, 0])];
        let page = encode(&parts, &Events::new(Sensor { width: 3, height: 1 }, Vec::new()));
        assert!(page.contains("max=\"3\" value=\"1\""), "{page}");
    }
}
