/**
 * Threads of a pool as child processes, each of which runs one worker thread and hands on what it tells.
 */
import * as Effect from "effect/Effect"
import type { Serializable } from "node:child_process"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import type { FromThread, Held, ToThread } from "../threads/crossing.ts"
import type { ThreadSpawner } from "../threads/threadSpawner.ts"
import { readText } from "./readText.ts"
import { type Options, textOf } from "./workers.ts"

/** What a process is told. */
export type ToProcess = ToThread | Held

/** What a process tells: at last why its thread has ended. */
export type FromProcess = FromThread | { readonly _tag: "Gone"; readonly why: string }

/** What a process starts with, as JSON. */
export type Start = Pick<Options, "argv" | "resourceLimits"> & { readonly module: string }

/** What processes run: beside this module, as a source and as what is built of it. */
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
    // Not every program has processes, and this takes a while to load.
    const { spawn } = process.getBuiltinModule("node:child_process")
    const child = spawn(process.execPath, [...execArgv, relay, start], {
      // A session of its own: what a terminal sends to this group is for the owner to act upon, and what the process
      // starts itself is ended with it.
      detached: true,
      // What a program writes is its result: what a child prints is not part of it.
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
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `processRelay.ts` sends
    child.on("message", (message) => receive(message as FromProcess))
    const receive = (message: FromProcess) => {
      if (message._tag === "Gone") cause = message.why
      else listener.message(message)
    }
    child.on("error", (error) => {
      if (child.pid === undefined) end(textOf(error))
    })
    child.on("exit", () => killGroup(child.pid))
    // Once it has ended, and all is read that it had to tell.
    child.on("close", (code, signal) => end(endOf(code, signal, killedBefore)))
    const hold = (hasWork: boolean) => {
      for (const handle of [child, child.channel]) handle?.[hasWork ? "ref" : "unref"]()
    }
    hold(false)
    return {
      // What can't be sent any more is missed by nobody: that the process has ended is told by itself.
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

/** Ends a process and all that it has started. */
const killGroup = (pid: number | undefined): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // Nobody of them is left.
  }
}

const endOf = (code: number | null, signal: NodeJS.Signals | null, killedBefore: number): string => {
  if (signal === null) return `its process exited with code ${code}`
  return signal === "SIGKILL" && killedForMemory() > killedBefore
    ? "its process was killed by SIGKILL when the system was out of memory"
    : `its process was killed by ${signal}`
}

/** How many processes the kernel has killed to have memory, as far as it tells. */
const killedForMemory = (): number => Number(/^oom_kill (\d+)$/m.exec(readText("/proc/vmstat") ?? "")?.[1] ?? 0)
