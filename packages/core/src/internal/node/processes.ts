/**
 * Threads of a pool as child processes. Each runs `processRelay.ts`, which runs one worker thread.
 */
import * as Effect from "effect/Effect"
import type { Serializable } from "node:child_process"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import type { FromThread, Held, ToThread } from "../threads/crossing.ts"
import type { ThreadSpawner } from "../threads/threadSpawner.ts"
import { readText } from "./linux.ts"
import { type Options, textOf } from "./workers.ts"

export type ToProcess = ToThread | Held

/** Messages of a process: those of its thread, and at last why that has ended. */
export type FromProcess = FromThread | { readonly _tag: "Gone"; readonly why: string }

/** What a process starts with, as JSON. */
export type Start = Pick<Options, "argv" | "resourceLimits"> & { readonly module: string }

/** The program of a process, which is beside this module, both as a source and when it is built. */
const relay = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./processRelay.ts" : "./processRelay.js", import.meta.url)
)

export const spawner = (
  { argv, execArgv = process.execArgv, module, resourceLimits }: Options
): ThreadSpawner["Service"] => ({
  parallelism: os.availableParallelism(),
  isApart: true,
  spawnUnsafe: (_, listener) => {
    const start = JSON.stringify({ module: module.href, argv, resourceLimits } satisfies Record<keyof Start, unknown>)
    const killedBefore = killedForMemory()
    // Loaded late: not every program has processes, and the module takes a while to load.
    const { spawn } = process.getBuiltinModule("node:child_process")
    const child = spawn(process.execPath, [...execArgv, relay, start], {
      // A session of its own: signals of a terminal are for the owner alone, and all that the process starts is ended
      // with it.
      detached: true,
      // What a child prints is not part of the result of this program, which may go to its standard output.
      stdio: ["ignore", 2, 2, "ipc"],
      serialization: "advanced"
    })
    let cause: string | undefined
    let isGone = false
    const end = (why: string) => {
      if (isGone) return
      isGone = true
      listener.ended(cause ?? why)
    }
    child.on("message", (sent) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `processRelay.ts` sends
      const message = sent as FromProcess
      if (message._tag === "Gone") cause = message.why
      else listener.message(message)
    })
    child.on("error", (error) => {
      if (child.pid === undefined) end(textOf(error))
    })
    child.on("exit", () => killGroup(child.pid))
    // The process has ended, and all its messages are read.
    child.on("close", (code, signal) => end(endOf(code, signal, killedBefore)))
    const hold = (hasWork: boolean) => {
      for (const handle of [child, child.channel]) handle?.[hasWork ? "ref" : "unref"]()
    }
    hold(false)
    return {
      // Messages to a process that has ended are left out: `close` tells of its end.
      postUnsafe: (message) => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what can't be sent throws
        if (child.connected) child.send(message as Serializable, () => {})
      },
      holdUnsafe: hold,
      terminate: Effect.callback<void>((resume) => {
        if (isGone) return resume(Effect.void)
        child.once("close", () => resume(Effect.void))
        killGroup(child.pid)
      })
    }
  }
})

/** Kills a process and all that it has started. */
const killGroup = (pid: number | undefined): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // No process of the group is left.
  }
}

const endOf = (code: number | null, signal: NodeJS.Signals | null, killedBefore: number): string => {
  if (signal === null) return `its process exited with code ${code}`
  return signal === "SIGKILL" && killedForMemory() > killedBefore
    ? "its process was killed by SIGKILL when the system was out of memory"
    : `its process was killed by ${signal}`
}

/** How many processes the kernel has killed for want of memory, as far as it tells. */
const killedForMemory = (): number => Number(/^oom_kill (\d+)$/m.exec(readText("/proc/vmstat") ?? "")?.[1] ?? 0)
