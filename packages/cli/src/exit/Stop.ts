/**
 * Ends the command with a sentence for people and an exit code.
 */
import type { JobId } from "@fanout/core/JobId"
import type { JobManagerError } from "@fanout/core/JobManager"
import type { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import type { FilePath } from "@fanout/ops/FilePath"
import { type Call, FilesError } from "@fanout/ops/FilesError"
import * as Match from "effect/Match"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { printable } from "../ui/format.ts"
import { stateWord } from "../ui/summary.ts"
import * as ExitCode from "./ExitCode.ts"

/** What the command ends with; an empty `sentence` where all has been said. */
export class Stop extends Schema.TaggedError<Stop>("@fanout/cli/Stop")("Stop", {
  sentence: Schema.String,
  code: Schema.Natural
}) {
  override get message(): string {
    return this.sentence
  }
}

/** A sentence may quote what was asked for, or found in a file. */
const make = (sentence: string, code: number): Stop => new Stop({ sentence: printable(sentence), code })

/** Ends with a sentence about what the user asked for. */
export const usage = (sentence: string): Stop => make(sentence, ExitCode.usage)

/** Ends with a sentence about what others could have root do. */
export const exposed = (sentence: string): Stop => make(sentence, ExitCode.exposed)

/** Ends with what an error says about what the user asked for. */
export const refusal = ({ message }: Error): Stop => usage(`${message}.`)

/** Ends with a sentence about what went wrong. */
export const failure = (sentence: string): Stop => make(sentence, ExitCode.failed)

/** Ends with a sentence about what there was nothing to do for. */
export const someFailed = (sentence: string): Stop => make(sentence, ExitCode.someFailed)

/** Ends with a sentence about a call of Node to a file that was named. */
export const fromCall = (call: Call, path: FilePath) => (error: unknown): Stop => {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
  return usage(`${new FilesError({ call, path, code, target: Option.none() }).message}.`)
}

/** Ends with a code where everything has been said. */
export const withCode = (code: number): Stop => new Stop({ sentence: "", code })

/** Says what is wrong with what was asked of a job, and the way out. */
export const fromManager = ({ reason }: JobManagerError): Stop =>
  Match.valueTags(reason, {
    NotAllowed: ({ action, id, state }) =>
      usage(
        `Job ${id} is ${stateWord(state)}: it can't be ${action}. \`fanout jobs show ${id}\` tells more.`
      ),
    ActiveJobDiffers: ({ id, message }) =>
      usage(`${message}: \`fanout jobs resume ${id}\` goes on with it, \`fanout jobs cancel ${id}\` gives it up.`),
    ChoiceRefused: ({ id, message }) => usage(`${message}. \`fanout jobs show ${id}\` shows what has failed.`),
    AlreadyOver: refusal,
    CronInvalid: refusal,
    ScheduleNotFound: ({ message }) => usage(`${message}. \`fanout schedule list\` shows all.`),
    ShuttingDown: ({ message }) => failure(`${message}. Try again.`)
  })

const elsewhere = "Another database can be named with --db or FANOUT_DB."

type Problem = StorageFailure["problem"]

/** What can be done about the file of a database. */
const filesWaysOut: Readonly<Partial<Record<Problem, string>>> = {
  Denied: "This user has to own or be let into the file and its folder: `ls -ld` tells whose they are. ",
  Corrupt: "If it held jobs, move it away: the next command makes another one. ",
  Full: "Free space there, and run the same command again. "
}

/** What can be done about a server of databases. */
const serversWaysOut: Readonly<Partial<Record<Problem, string>>> = {
  Denied: "A password comes from PGPASSWORD, or from the file that PGPASSFILE names. ",
  Missing: "`createdb` makes a database. ",
  Unreachable: "Check its name and port, and that the server runs. ",
  ReadOnly: "Name the server that takes writes. ",
  Full: "Free space there, and run the same command again. "
}

/** Says what is wrong with the database, and the way out. */
export const fromStore = (database: string) => ({ reason }: JobStoreError): Stop => {
  const again = ({ message }: Error) => failure(`${message}. Try again.`)
  return Match.valueTags(reason, {
    JobNotFound: ({ message }) => usage(`${message} in ${database}. \`fanout jobs list\` shows the jobs there are.`),
    JobConflict: again,
    Fenced: again,
    ConcurrencyReached: again,
    KeyTaken: ({ by, message }) => usage(`${message}. \`fanout jobs resume ${by}\` goes on with that one.`),
    StoreTooNew: ({ message }) => failure(`${message} (${database}). Update fanout. ${elsewhere}`),
    UnsafeFileSystem: ({ message }) => failure(`${message}. ${elsewhere}`),
    OtherTransaction: ({ message }) => failure(`${message}.`),
    StorageFailure: ({ message, problem }) => {
      const waysOut = /^postgres/i.test(database) ? serversWaysOut : filesWaysOut
      const where = message.includes(database) ? "" : ` (${database})`
      return failure(`${message}${where}. ${waysOut[problem] ?? ""}${elsewhere}`)
    }
  })
}

/** Says that a job can't go on since nothing can be recorded of it any more. It can once that is put right. */
export const unrecorded = (id: JobId, database: string, { message, reason }: JobStoreError): Stop => {
  const isFull = reason._tag === "StorageFailure" && reason.problem === "Full"
  return make(
    `Job ${id} can't go on. ${message} (${database}). ` +
      `${isFull ? "Free space there: then" : "Once that is put right,"} the same command goes on with it, ` +
      `as does \`fanout jobs resume ${id}\`.`,
    ExitCode.paused
  )
}

/** Says what nobody foresaw. */
export const fromDefect = (defect: unknown): Stop =>
  failure(
    `fanout met an error that it does not know: ${defect instanceof Error ? defect.message : String(defect)}. ` +
      "Set FANOUT_DEBUG=1 to see where."
  )
