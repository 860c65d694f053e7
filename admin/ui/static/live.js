// The stream of updates. It is open only while the page is seen, and is opened again, with
// growing pauses, where it breaks.

const firstPause = 1000;
const lastPause = 15000;
// A stream that says nothing for so long is broken, whatever the browser thinks of it.
const silence = 10000;

// follow calls update with each update, and state with "live", "paused" or "lost".
export function follow(update, state) {
  let stream = null;
  let pause = firstPause;
  let again = 0;
  let watch = 0;

  function open() {
    clearTimeout(again);
    if (stream || document.hidden) return;
    stream = new EventSource("events");
    stream.addEventListener("update", (event) => {
      pause = firstPause;
      alive();
      state("live");
      update(JSON.parse(event.data));
    });
    stream.addEventListener("error", broken);
    alive();
  }

  function close() {
    clearTimeout(watch);
    clearTimeout(again);
    if (stream) stream.close();
    stream = null;
  }

  function broken() {
    close();
    state("lost");
    again = setTimeout(open, pause);
    pause = Math.min(2 * pause, lastPause);
  }

  function alive() {
    clearTimeout(watch);
    watch = setTimeout(broken, silence);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      state("paused");
    } else {
      open();
    }
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
}
