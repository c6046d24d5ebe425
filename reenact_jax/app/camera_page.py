"""The page's tab with a camera: what it shows, and what the browser does."""

import gradio as gr

from reenact_jax.app import camera

HTML = """<div id="live"><video muted playsinline style="display:none"></video>
<canvas style="width:100%;max-width:512px;background:#8883" width="256" height="256"></canvas>
<p id="live-says">The camera is off. Its frames go to this page's machine alone and are not stored.
</p></div>"""
# One frame is on its way at a time: a second one would only wait, and grow old.
_START = """async (door) => {
  if (!door) return;
  const root = document.getElementById('live'), says = root.querySelector('p');
  const video = root.querySelector('video'), shown = root.querySelector('canvas');
  window.reenactDoor = door;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480}});
  } catch (error) {
    says.textContent = `No camera: ${error.message}`;
    return;
  }
  video.srcObject = stream;
  await video.play();
  const taken = document.createElement('canvas'), side = SIDE;
  taken.width = taken.height = side;
  const ends = [];
  while (window.reenactDoor === door) {
    const w = video.videoWidth, h = video.videoHeight, least = Math.min(w, h);
    const begin = performance.now();
    taken.getContext('2d').drawImage(
      video, (w - least) / 2, (h - least) / 2, least, least, 0, 0, side, side);
    const frame = await new Promise((done) => taken.toBlob(done, 'image/jpeg', 0.9));
    const url = new URL('PATH'.slice(1) + door, document.baseURI);
    const answer = await fetch(url, {method: 'POST', body: frame});
    if (window.reenactDoor !== door) break;  // stopped meanwhile, which is said already
    if (!answer.ok) { says.textContent = `Stopped: ${await answer.text()}`; break; }
    const picture = await createImageBitmap(await answer.blob());
    if (window.reenactDoor !== door) break;
    shown.width = picture.width; shown.height = picture.height;
    shown.getContext('2d').drawImage(picture, 0, 0);
    const now = performance.now();
    ends.push(now);
    if (ends.length > 20) ends.shift();
    const rate = ends.length > 1 ? 1000 * (ends.length - 1) / (now - ends[0]) : 0;
    const work = 1000 * Number(answer.headers.get('x-seconds'));
    const seen = answer.headers.get('x-found') === '1' ? '' : ' No face is seen.';
    says.textContent = `${rate.toFixed(1)} frames a second; ${(now - begin).toFixed(0)} ms from ` +
      `the camera to the picture, ${work.toFixed(0)} ms of them work.${seen}`;
  }
  stream.getTracks().forEach((track) => track.stop());
}"""
START = _START.replace('SIDE', str(camera.SIDE)).replace('PATH', camera.PATH)
STOP = """() => {
  window.reenactDoor = null;
  document.getElementById('live-says').textContent = 'The camera is off.';
}"""


def build(opened, source, whole) -> None:
    """Build the tab.

    Args:
      opened: function of portrait and whole picture that returns the word of a door.
      source: the page's portrait.
      whole: whether the whole picture is shown.
    """
    gr.HTML(HTML, elem_id='live-view')
    with gr.Row():
        start = gr.Button('Start, or start again', variant='primary', elem_id='live-start')
        stop = gr.Button('Stop', elem_id='live-stop')
    gr.Markdown(
        'Look at the camera as the portrait looks before you start: what changes in your face from '
        'then on changes in the portrait.'
    )
    door = gr.Textbox(visible='hidden')
    begun = start.click(opened, [source, whole], door, concurrency_id='model', concurrency_limit=1)
    begun.success(None, door, None, js=START)
    stop.click(None, None, None, js=STOP)
