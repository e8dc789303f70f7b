import { runThread } from "@fanout/core/threads"
import * as Files from "@fanout/ops/Files"
import type { Call } from "@fanout/ops/FilesError"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as ThumbnailTaskLive from "@fanout/ops/ThumbnailTaskLive"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FaultyFiles from "./FaultyFiles.ts"

const hang = (): never => {
  for (;;);
}

/** Ends the process. The signal can come after `kill` has returned: the call that it is to prevent must not be made. */
const die = (signal: NodeJS.Signals): never => {
  process.kill(process.pid, signal)
  return hang()
}

/** What the process dies of at the files that are called so: when their content is read, or a thumbnail is named. */
const faults: ReadonlyArray<readonly [name: string, call: Call, fault: () => void]> = [
  ["crashes-late", "rename", () => die("SIGSEGV")],
  ["crashes", "read", () => die("SIGSEGV")],
  ["aborts", "read", () => die("SIGABRT")],
  ["hangs", "read", hang]
]

let current: (typeof faults)[number] | undefined

const faulty = Layer.effect(
  Files.Files,
  Effect.map(Files.Files, (files) =>
    FaultyFiles.intercept(files, (call, path) =>
      Effect.sync(() => {
        if (call === "open" && path.endsWith(".jpg")) current = faults.find(([name]) => path.includes(name))
        if (current?.[1] === call) current[2]()
      })))
).pipe(Layer.provide(SystemFiles.layerBlocking))

runThread(ProcessTasks, Layer.provide(ThumbnailTaskLive.layer, faulty))
