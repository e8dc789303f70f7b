/**
 * What a child process of a pool runs: one worker thread, whose memory it keeps as its owner says.
 *
 * The tasks run on that thread and not on this one, which so hears of its owner at any time: of a stop, and that there
 * is no owner any more. Then nothing of the process may go on.
 */
import { writeFileSync } from "node:fs"
import { Control } from "../threads/sharedMemory.ts"
import type { FromProcess, Start, ToProcess } from "./processes.ts"
import { start, textOf } from "./workers.ts"

// Its whole group: what it has started, and itself. An exit would wait for threads that never return.
const die = (): void => void process.kill(-process.pid, "SIGKILL")
process.on("disconnect", die)

try {
  // Where memory runs out, it costs the task that is at work here, and not its owner.
  writeFileSync("/proc/self/oom_score_adj", "1000")
} catch {
  // Only Linux has it.
}

/** The last word goes out before the process ends. */
const end = (why: string): void => tell({ _tag: "Gone", why }, die)

const tell = (message: FromProcess, then: () => void = () => {}): void =>
  void process.send?.(message, undefined, undefined, then)

const { module, ...limits }: Start = JSON.parse(process.argv[2] ?? "")
const shared = Control.allocate(1)
const worker = start({ module: new URL(module), ...limits }, shared, {
  message: (message) => {
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `internal/threads/worker.ts` posts
      tell(message as FromProcess)
    } catch (error) {
      end(textOf(error))
    }
  },
  ended: end
})

process.on("message", (message: ToProcess) => {
  if (message._tag !== "Close") {
    const control = new Control(shared, message.id)
    switch (message._tag) {
      case "Held":
        return control.holdUntil(message.until)
      case "Batch":
        control.prepare(0)
        break
      case "Stop":
        control.request(message.index, message.reason)
    }
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  worker.postMessage(message)
})
