// A thread in which commands run one after the other, in the place of a process for each. The command is loaded once.
import { EventEmitter } from "node:events"
import * as path from "node:path"
import { PassThrough, Writable } from "node:stream"
import { type MessagePort, workerData } from "node:worker_threads"
import * as CompiledCode from "../src/CompiledCode.ts"
import type { Process } from "../src/host/Process.ts"
import type * as Invocation from "../src/Invocation.ts"

/** What a command is started with. */
export interface Started {
  readonly args: ReadonlyArray<string>
  readonly env: NodeJS.ProcessEnv
  readonly folder: string
}

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

const collected = () => {
  const chunks: Array<Buffer> = []
  const stream = new Writable({
    write: (chunk: Buffer, _, written) => {
      chunks.push(chunk)
      written()
    }
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

const run = async ({ args, env, folder }: Started): Promise<Ended> => {
  const [stdout, stderr] = [collected(), collected()]
  const self = Object.assign(new EventEmitter(), {
    argv: [process.execPath, "fanout", ...args],
    cwd: () => folder,
    env,
    exit: (code: unknown) => {
      throw new Error(`the command ended its process with ${String(code)}`)
    },
    stdin: new PassThrough().end(),
    stdout: stdout.stream,
    stderr: stderr.stream
  })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- streams of no terminal lack what terminals have
  const status = await runIn(self as unknown as Process)
  return { status, stdout: stdout.text(), stderr: stderr.text() }
}

port.on("message", (started: Started) => {
  const tell = (ended: Ended | Error) => {
    port.postMessage(ended)
    Atomics.store(done, 0, 1)
    Atomics.notify(done, 0)
  }
  run(started).then(tell, tell)
})
