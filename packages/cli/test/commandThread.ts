// A thread in which commands run one after the other, in the place of a process for each. The command is loaded once.
import * as path from "node:path"
import { type MessagePort, workerData } from "node:worker_threads"
import * as CompiledCode from "../src/CompiledCode.ts"
import type * as Invocation from "../src/Invocation.ts"
import { type Started, writtenProcess } from "./writtenProcess.ts"

/** What is left of a command. */
export interface Ended {
  /** Nothing after a signal that ended its process. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What the thread is made with. */
export interface Data {
  readonly port: MessagePort
  /** Becomes 1 when a command has ended. */
  readonly done: Int32Array
}

const { done, port }: Data = workerData

const { runIn } = CompiledCode.load<typeof Invocation>({
  file: path.join(import.meta.dirname, "../dist/fanout.code.cjs"),
  label: "fanout-tests",
  keepLater: () => {}
})()

const run = async (started: Started): Promise<Ended> => {
  const { self, written } = writtenProcess(started)
  // What signs requests reads the variables of the process.
  process.env = { ...self.env }
  const status = await runIn(self)
  return { status, stdout: written.stdout, stderr: written.stderr }
}

port.on("message", (started: Started) => {
  const tell = (ended: Ended | Error) => {
    port.postMessage(ended)
    Atomics.store(done, 0, 1)
    Atomics.notify(done, 0)
  }
  run(started).then(tell, tell)
})
