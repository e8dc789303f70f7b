import * as fs from "node:fs"

/** How long something on this machine has waited for a processor, in milliseconds: 0 if the kernel does not tell. */
const waitedMillis = (): number => {
  const file = "/proc/pressure/cpu"
  const [, micros = "0"] = /^some .*total=(\d+)/.exec(fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "") ?? []
  return Number(micros) / 1000
}

/**
 * Starts a stopwatch. It tells the milliseconds since then in which nothing on this machine waited for a processor, so
 * a test that has to be done within a time does not fail for what other programs do.
 */
export const startStopwatch = (): () => number => {
  const start = performance.now() - waitedMillis()
  return () => performance.now() - waitedMillis() - start
}
