import { type ChildProcessByStdio, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Readable, Writable } from "node:stream"
import { setTimeout } from "node:timers/promises"
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads"
import type { Data, Ended } from "./commandThread.ts"
import type { Started } from "./writtenProcess.ts"

/** What starts the command, as users have it; it is bundled before the tests that start it. */
export const command = [process.execPath, path.join(import.meta.dirname, "../bin/fanout.js")] as const

/** The same with arguments, and with something before it, as what starts processes takes that. */
export const commandLine = (
  args: ReadonlyArray<string>,
  prefix: ReadonlyArray<string> = []
): [string, Array<string>] => {
  const [file = process.execPath, ...rest] = [...prefix, ...command, ...args]
  return [file, rest]
}

/** Starts the thread that runs commands. */
const startThread = () => {
  const { port1, port2 } = new MessageChannel()
  const done = new Int32Array(new SharedArrayBuffer(4))
  const workerData: Data = { port: port2, done }
  const module = new URL("./commandThread.ts", import.meta.url)
  const worker = new Worker(module, { workerData, transferList: [port2] })
  worker.unref()
  port1.unref()
  return { port: port1, done }
}

let thread: ReturnType<typeof startThread> | undefined

const longestMillis = 280_000

/** Starts the command in this process, on a thread that is started once. */
const startHere = (started: Started) => {
  thread ??= startThread()
  Atomics.store(thread.done, 0, 0)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  thread.port.postMessage(started)
  return thread
}

const endedOf = (ended: Ended | Error): Ended => {
  if (ended instanceof Error) throw ended
  return ended
}

/** Runs the command in this process, and waits for its end. */
const runHere = (started: Started): Ended => {
  const { done, port } = startHere(started)
  if (Atomics.wait(done, 0, 0, longestMillis) === "timed-out") throw new Error(`${started.args?.join(" ")} goes on`)
  return endedOf(receiveMessageOnPort(port)?.message)
}

/** Runs the command in this process, while this thread serves what it asks for. */
export const runBeside = async (started: Started): Promise<Ended> => {
  const { port } = startHere(started)
  const [ended]: ReadonlyArray<Ended | Error> = await once(port, "message")
  return endedOf(ended ?? new Error("the thread of commands is gone"))
}

/** Where a command runs, and by what. */
export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv
  readonly folder?: string
  /** What goes before the command. It has a process of its own then. */
  readonly prefix?: ReadonlyArray<string>
}

/**
 * Runs the command, and waits for its end. It has no process of its own if it needs none: signals, closed pipes,
 * terminals and bytes of arguments are tried by `commandLine`.
 */
export const runCommand = (
  args: ReadonlyArray<string>,
  { env = process.env, folder = process.cwd(), prefix = [] }: Surroundings = {}
): Ended => {
  if (prefix.length === 0) return runHere({ args, env: { ...env }, folder })
  const options = { encoding: "utf8", env, cwd: folder, maxBuffer: 2 ** 28 } as const
  const { status, stderr, stdout } = spawnSync(...commandLine(args, prefix), options)
  return { status, stderr, stdout }
}

/** A command that was started, with what it writes and what it ends with. */
export const watched = <I extends Writable | null>(child: ChildProcessByStdio<I, Readable, Readable>) => {
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text
    })
  }
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, ...output }))
  })
  return { child, output, ended }
}

/** Waits until something is so: how long, the limit of all tests says. */
export const until = async (is: () => boolean): Promise<void> => {
  while (!is()) await setTimeout(50)
}

/** The address of the page, which lets one browser in, from the file that a server names where it has no terminal. */
export const addressIn = (stdout: string): string | undefined => {
  const [, file] = /is in (.*\.page-\d+)$/m.exec(stdout) ?? []
  return file === undefined ? undefined : fs.readFileSync(file, "utf8").trim()
}

/** Lets a program in by an address of the page, and gives what its requests need. */
export const letIn = async (address: string): Promise<{ readonly origin: string; readonly authorization: string }> => {
  const { hash, origin } = new URL(address)
  const headers = { authorization: `Bearer ${hash.replace("#code=", "")}` }
  const { token }: { readonly token?: string } = await (await fetch(`${origin}/session`, { method: "POST", headers }))
    .json()
  return { origin, authorization: `Bearer ${token ?? ""}` }
}
