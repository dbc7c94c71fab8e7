"use strict";
// The page is the document as text. Where the official component can be loaded it takes the text's place, and only once
// it has drawn the document: whatever goes wrong before that, the text stays.
{
  const wanted = document.currentScript.dataset;
  const CONFIGURATION = {
    show: { sidebar: false, errors: true }, // the page has its own table of contents, for the text too
    expand: { messageExamples: false },
    receiveLabel: "receives",
    replyLabel: "receives, and replies",
    sendLabel: "sends",
    requestLabel: "sends, and awaits a reply",
  };

  const load = (tag, properties) =>
    new Promise((resolve, reject) => {
      const element = Object.assign(document.createElement(tag), properties, { crossOrigin: "anonymous" });
      element.addEventListener("load", resolve);
      element.addEventListener("error", () => reject(new Error(`${tag} could not be loaded`)));
      document.head.append(element);
    });

  const replace = (text) => {
    text.remove(); // and not hidden: both have the same anchors
    if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  };

  const draw = async () => {
    const [answer] = await Promise.all([
      fetch("/asyncapi.json"),
      load("script", { src: wanted.script, integrity: wanted.scriptIntegrity }),
      load("link", { rel: "stylesheet", href: wanted.style, integrity: wanted.styleIntegrity }),
    ]);
    const schema = await answer.json();
    const drawn = document.getElementById("drawn");
    new MutationObserver((_, observer) => {
      observer.disconnect();
      drawn.hidden = false;
      // Otherwise it has drawn what it has against the document.
      if (drawn.querySelector("#introduction") !== null) replace(document.getElementById("text"));
    }).observe(drawn, { childList: true });
    window.AsyncApiStandalone.render({ schema, config: CONFIGURATION }, drawn);
  };

  // On a telephone it lies over the page, and would hide the place that it has led to.
  const contents = document.querySelector(".contents details");
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a")) contents.open = false;
  });

  draw().catch(() => {}); // the browser's own log says what could not be loaded
}
