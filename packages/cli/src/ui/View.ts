/**
 * Shows what happens to a job: as a line that is drawn anew, as one now and then, as NDJSON, or not at all.
 */
import type { JobEvent } from "@fanout/core/JobManager"
import type { JobRecord, OutcomeRow } from "@fanout/core/JobStore"
import { empty, type Progress } from "@fanout/core/Progress"
import * as CliOutput from "effect/cli/CliOutput"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Process from "../host/Process.ts"
import { paint } from "./colour.ts"
import * as events from "./events.ts"
import * as format from "./format.ts"
import { progressLine } from "./progressLine.ts"
import * as summary from "./summary.ts"
import { broken } from "./table.ts"

/** How a command shows things. */
export interface Options {
  readonly json: boolean
  readonly quiet: boolean
  /** Whether lines of another kind come to the same terminal, which a line that is drawn anew would tear. */
  readonly isShared?: boolean
}

/** What shows the events of one job. */
export interface View {
  readonly show: (event: JobEvent) => Effect.Effect<void>
  /** Says something in between. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Says how far the job is, where no line is drawn that tells that all the time. */
  readonly remind: Effect.Effect<void>
  /** Leaves the terminal as it was. */
  readonly close: Effect.Effect<void>
}

/** Writes a line to the standard output. */
export const print = (text: string): Effect.Effect<void> =>
  Effect.sync(() => void Process.current().stdout.write(`${text}\n`))

/** Writes to the standard output, and waits until a slow reader has taken it. */
export const printAll = (bytes: Uint8Array): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    Process.current().stdout.write(bytes, () => resume(Effect.void))
  })

/** So many cells text has at least behind the head of its line; with less, it is below that, not as deep. */
const leastHanging = 16
const deepest = 6

/** Lines of text, on a terminal broken between words where they are longer than the terminal is wide. */
const linesFor = (text: string, stream: NodeJS.WriteStream): string =>
  stream.isTTY
    ? text.split("\n").flatMap((line) =>
      CliOutput.displayWidth(line) < columns(stream) ? line : broken(line, columns(stream) - 1)
    ).join("\n")
    : text

/** Writes sentences to the standard output. */
export const tell = (text: string): Effect.Effect<void> =>
  Effect.suspend(() => print(linesFor(text, Process.current().stdout)))

/** Writes sentences to the standard error. */
export const complain = (text: string): Effect.Effect<void> =>
  Effect.sync(() => void Process.current().stderr.write(`${linesFor(text, Process.current().stderr)}\n`))

/**
 * Text behind the head of its line. On a terminal it goes on below itself where it is longer than the line, and begins
 * below its head where there is no room beside that.
 */
export const hanging = (head: string, text: string, stream: NodeJS.WriteStream): string => {
  const width = CliOutput.displayWidth(head)
  const room = columns(stream) - 1
  if (!stream.isTTY || width + CliOutput.displayWidth(text) <= room) return head + text
  const indent = room - width < leastHanging ? " ".repeat(deepest) : " ".repeat(width)
  const first = indent.length < width ? `${head.trimEnd()}\n${indent}` : head
  return first + broken(text, room - indent.length).join(`\n${indent}`)
}

/** Line about an item of a job; that of a failed one stands out. */
export const itemLine = (record: JobRecord, row: OutcomeRow, stream: NodeJS.WriteStream): string => {
  const line = summary.item(row, summary.isVerify(record) ? "differs" : "failed")
  const text = hanging(line.slice(0, summary.itemHead), line.slice(summary.itemHead), stream)
  return row.outcome._tag === "Failed" ? paint("red", text, stream) : text
}

/** Writes the line about an item to the standard error. */
export const complainOf = (record: JobRecord, row: OutcomeRow): Effect.Effect<void> =>
  Effect.sync(() => void Process.current().stderr.write(`${itemLine(record, row, Process.current().stderr)}\n`))

/** Whether an error of a stream means that nobody reads it any more. That ends what only shows something, no work. */
export const isUnread = ({ code }: NodeJS.ErrnoException): boolean => code === "EPIPE" || code === "EIO"

/** Runs what only shows something, for as long as somebody reads the standard output. */
export const whileRead = <E, R>(effect: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
  Effect.raceFirst(
    effect,
    Effect.callback<void>((resume) => {
      const onError = (error: NodeJS.ErrnoException) => {
        if (isUnread(error)) resume(Effect.void)
      }
      Process.current().stdout.on("error", onError)
      return Effect.sync(() => void Process.current().stdout.off("error", onError))
    })
  )

/** Width of the terminal behind a stream; wide where there is none, so that nothing is lost in a file. */
export const columns = (stream: NodeJS.WriteStream): number => stream.isTTY ? stream.columns || 80 : 1000

/** View of a job for this terminal. */
export const make = (id: string, { isShared = false, json, quiet }: Options): View =>
  json || quiet || isShared
    ? {
      show: (event) => json ? print(events.ofJob(id, event)) : Effect.void,
      say: (text) => json || quiet ? Effect.void : complain(text),
      remind: Effect.void,
      close: Effect.void
    }
    : progressView(id, Process.current().stderr.isTTY && Process.current().env["TERM"] !== "dumb")

/** Draws a line anew, or where that can't be done prints one each time that it is asked to. */
const progressView = (id: string, canRedraw: boolean): View => {
  let latest: Progress = empty
  let isDrawn = false
  const write = (text: string) => void Process.current().stderr.write(text)
  const line = (now: number) => progressLine(latest, columns(Process.current().stderr), { id, now })
  const clear = Effect.sync(() => {
    if (isDrawn) write("\r\u001b[K")
    isDrawn = false
  })
  return {
    show: (event) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (event._tag !== "Progress") return
        latest = event.progress
        if (!canRedraw) return
        write(`\r\u001b[K${line(now)}`)
        isDrawn = true
      }),
    say: (text) => Effect.andThen(clear, complain(text)),
    remind: canRedraw
      ? Effect.void
      : Effect.flatMap(Clock.currentTimeMillis, (at) => complain(`${format.time(at)}  ${line(at)}`)),
    close: clear
  }
}
