/* Moves the pictures of every <figure class="hs-frames">: sliders, pixels to pick, Play.
   The pictures lie in the page, the last slider varying fastest; nothing is fetched. */
(() => {
  "use strict";
  const STEP_MS = 350; // pace of Play
  const QUIET_MS = 400; // pause before a new picture is read out

  function wake(figure) {
    const pictures = [...figure.querySelectorAll(".hs-pictures > img")];
    const sliders = [...figure.querySelectorAll("input[type=range]")];
    const pixels = [...figure.querySelectorAll("input[type=radio]")];
    const status = figure.querySelector(".hs-status");
    const play = figure.querySelector(".hs-play");
    let announcing = 0;
    let playing = 0;

    function update() {
      let index = pixels.length ? pixels.findIndex((pixel) => pixel.checked) : 0;
      for (const slider of sliders) {
        index = index * (Number(slider.max) + 1) + Number(slider.value);
        const text = JSON.parse(slider.dataset.texts)[Number(slider.value)];
        slider.setAttribute("aria-valuetext", text);
        slider.parentElement.querySelector("output").textContent = text;
      }
      pictures.forEach((picture, i) => { picture.hidden = i !== index; });
      clearTimeout(announcing);
      if (!playing) announcing = setTimeout(() => { status.textContent = pictures[index].alt; }, QUIET_MS);
    }

    function stop() {
      clearInterval(playing);
      playing = 0;
      if (play) play.textContent = "Play";
    }

    function start() {
      const slider = sliders[Number(play.dataset.axis)];
      if (slider.value === slider.max) slider.value = 0;
      else slider.stepUp();
      play.textContent = "Pause";
      playing = setInterval(() => {
        slider.stepUp();
        if (slider.value === slider.max) stop();
        update();
      }, STEP_MS);
      update();
    }

    function moveByRow(event) { // left and right are the browser's own
      const columns = Number(event.currentTarget.dataset.columns);
      const step = { ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (!step) return;
      event.preventDefault();
      const target = pixels[pixels.indexOf(event.target) + step];
      if (target) { target.focus(); target.click(); }
    }

    figure.addEventListener("input", () => { stop(); update(); });
    if (play) play.addEventListener("click", () => { if (playing) { stop(); update(); } else start(); });
    for (const group of figure.querySelectorAll(".hs-cells")) group.addEventListener("keydown", moveByRow);
    for (const part of figure.querySelectorAll("[hidden]:not(img)")) part.hidden = false;
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".hs-frames").forEach(wake));

  // A formula wider than its column scrolls; the keyboard must be able to reach it.
  window.addEventListener("load", () => {
    if (!window.MathJax || !MathJax.startup) return;
    MathJax.startup.promise.then(() => {
      for (const formula of document.querySelectorAll("mjx-container[display]"))
        if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    });
  });
})();
