import { EventEmitter } from "node:events"
import { PassThrough, Writable } from "node:stream"
import type { Process } from "../src/host/Process.ts"

/** What a command is started with. */
export interface Started {
  readonly args?: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
  readonly folder?: string
  /** Its output goes to a terminal of so many columns, if that is said. */
  readonly columns?: number
}

/** A process for a command, with what the command has written, by streams and in all. Nobody answers it. */
export const writtenProcess = ({ args = [], columns, env = process.env, folder = process.cwd() }: Started) => {
  const written = { stdout: "", stderr: "", all: "" }
  const streamOf = (name: "stdout" | "stderr") => {
    const decoder = new TextDecoder()
    const stream = new Writable({
      write: (chunk: Buffer, _, done) => {
        const text = decoder.decode(chunk, { stream: true })
        written[name] += text
        written.all += text
        done()
      }
    })
    return columns === undefined ? stream : Object.assign(stream, { isTTY: true, columns })
  }
  const self = Object.assign(new EventEmitter(), {
    argv: [process.execPath, "fanout", ...args],
    cwd: () => folder,
    env,
    exit: (code: unknown) => {
      throw new Error(`the command ended its process with ${String(code)}`)
    },
    stdin: new PassThrough().end(),
    stdout: streamOf("stdout"),
    stderr: streamOf("stderr")
  })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- these streams lack what no command asks for
  return { self: self as unknown as Process, written }
}
