/**
 * The program of a child process of a pool. It hands messages on between the owner and one worker thread, and writes
 * into the memory of that thread what the owner tells.
 *
 * Tasks run on the worker thread, so this thread hears of the owner at any time: of a stop, and of the owner's end.
 * Nothing of the process may go on after that.
 */
import { writeFileSync } from "node:fs"
import { Control } from "../threads/sharedMemory.ts"
import type { FromProcess, Start, ToProcess } from "./processes.ts"
import { start, textOf } from "./workers.ts"

// Kills the whole group: this process and all that it has started. An exit would wait for threads that never return.
const die = (): void => void process.kill(-process.pid, "SIGKILL")
process.on("disconnect", die)

try {
  // Where memory runs out, the kernel kills this process before its owner.
  writeFileSync("/proc/self/oom_score_adj", "1000")
} catch {
  // Only Linux has it.
}

/** Ends the process once its last message is sent. */
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
