/** Minutes and seconds since a moment, as 1:05. */
export function clock(began) {
  const seconds = Math.round((Date.now() - began) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Shows on stderr what a step is doing and since when: anew each 5 seconds, on a terminal each second in one line. */
export function showProgress(name, missing) {
  const began = Date.now();
  const terminal = process.stderr.isTTY;
  let now = "";
  console.error(`Set-up: ${name}: ${missing.length > 1 ? `${missing.length} are` : `${missing[0]} is`} missing`);
  const show = () => {
    const text = `Set-up: ${name}: ${clock(began)} ${now}`;
    if (terminal) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
    else console.error(text);
  };
  const timer = setInterval(show, terminal ? 1000 : 5000);
  return {
    progress(text) {
      now = text;
    },
    end(how) {
      clearInterval(timer);
      if (terminal) process.stderr.write("\r\x1b[K");
      console.error(`Set-up: ${name}: ${how} after ${clock(began)}`);
    },
  };
}
