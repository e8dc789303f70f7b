import { spawn, type SpawnOptionsWithoutStdio } from "node:child_process"
import { once } from "node:events"

/**
 * Runs a shell script that starts a server, prints `started` or `failed`, and stops the server at the end of its input,
 * so also where the tests were killed. Gives what stops it.
 */
export const startWatched = async (
  script: string,
  args: ReadonlyArray<string>,
  owner: Pick<SpawnOptionsWithoutStdio, "uid" | "gid"> = {}
): Promise<() => Promise<unknown>> => {
  const watcher = spawn("sh", ["-c", script, "sh", ...args], {
    ...owner,
    // In a group of its own: Ctrl-C is for the tests, and the end of these tells it.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"]
  })
  const closed = once(watcher, "close")
  const stop = () => {
    watcher.stdin.end()
    return closed
  }
  let output = ""
  for await (const chunk of watcher.stdout.setEncoding("utf8")) {
    output += chunk
    if (/^(?:started|failed)$/m.test(output)) break
  }
  if (/^started$/m.test(output)) return stop
  await stop()
  throw new Error(`the server did not start: ${output}`)
}
