/**
 * Where jobs are kept: a SQLite file, or a Postgres server.
 */
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { homedir } from "node:os"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Arguments from "./Arguments.ts"
import * as Exposure from "./Exposure.ts"

/** A database of jobs. */
export interface Database {
  /** How people are told of it: a path, or an address without a password. */
  readonly shown: string
  /** SQLite file with the jobs, or beside a server with what only this machine knows, such as digests of its files. */
  readonly filename: string
  /** Address of a Postgres server, with its password if it was given with one. */
  readonly server?: Redacted.Redacted<URL>
}

/** The files of SQLite that hold the jobs. */
export const filesOf = (filename: string): ReadonlyArray<string> =>
  ["", "-wal", "-shm", "-journal"].map((end) => `${filename}${end}`)

/**
 * Why root may not trust a file: whoever can change what root obeys is root. `undefined` for other users, who may share
 * files on purpose.
 */
export const whyNotTrusted = (file: string): string | undefined => {
  if (process.geteuid?.() !== 0) return undefined
  const found = Exposure.of(file, 0)
  if (found === undefined) return undefined
  const name = `"${FilePath.display(FilePath.make(found.path))}"`
  return found.owner === undefined ? `others can write to ${name}` : `${name} belongs to user ${found.owner}`
}

/** Why root may not obey a database. */
export const whyNotObeyed = ({ filename, server }: Database): string | undefined => {
  if (filename === ":memory:") return undefined
  const why = filesOf(filename).map(whyNotTrusted).find((why) => why !== undefined)
  if (why === undefined) return undefined
  const wayOut = server === undefined
    ? "name a database of root's alone with --db or FANOUT_DB"
    : "name a folder of root's alone in XDG_STATE_HOME, for what only this machine knows"
  return `Root obeys no database that others can change, and ${why}. Run fanout as its user, or ${wayOut}.`
}

/** Where XDG keeps what programs remember. A variable that is not absolute counts as not set. */
export const usualFile = (
  { XDG_STATE_HOME: state = "" }: NodeJS.ProcessEnv = Process.current().env,
  home: string = homedir()
): string => {
  const folder = state.startsWith("/") ? state : `${home}/.local/state`
  return `${folder.replace(/\/+$/, "")}/fanout/jobs.db`
}

/** Whether the port is one, and all that stands for other characters in an address does so. */
const isReadable = ({ pathname, port, username }: URL): boolean =>
  port !== "0" && Option.isSome(Option.liftThrowable(decodeURIComponent)(`${username}${pathname}`))

const isAddress = (text: string): boolean => /^postgres(?:ql)?:\/\//i.test(text)

/** What is meant as the address of something, and is none of a server. It may have a password in it. */
const isOtherAddress = (text: string): boolean => /:\/\/|^\W*postgres(?:ql)?:|\bpassword\s*=/i.test(text)

const anything = /(?:)/

/** A whole number between two others. */
const between = (least: number, most: number) => ({
  test: (text: string) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most
})

/** Parameters of an address that the driver obeys, and what they may be. All others are ignored. */
const parameters: ReadonlyMap<string, Pick<RegExp, "test">> = new Map([
  ["host", anything],
  ["port", between(1, 65_535)],
  ["user", anything],
  ["password", anything],
  ["dbname", anything],
  ["application_name", anything],
  ["options", anything],
  // A timer takes no more milliseconds.
  ["connect_timeout", between(0, 2_147_483)],
  ["sslmode", /^(?:disable|allow|prefer|require|verify-ca|verify-full)$/]
])

/** Those that people are told of. */
const told: ReadonlySet<string> = new Set(["host", "port", "user", "dbname", "sslmode"])

/** A server as people are told of it: nothing is shown but what is known to be no secret. */
const shownOf = (server: URL): string => {
  const shown = new URL(server)
  shown.password = ""
  shown.search = ""
  for (const [name, value] of server.searchParams) if (told.has(name)) shown.searchParams.append(name, value)
  return shown.href
}

const hasPassword = (server: URL): boolean => server.password !== "" || server.searchParams.has("password")

const ofServer = Effect.fnUntraced(function*(text: string, isFlag: boolean, filename: string) {
  // What was given may have a password in it, so that no message repeats it.
  if (!URL.canParse(text) || !isReadable(new URL(text))) {
    return yield* Stop.usage("The address of the database can't be read. It is like postgres://user@host:5432/name.")
  }
  const server = new URL(text)
  // A password with such a character in it would be taken for what follows it.
  if (server.hash !== "" || /[@;]/.test(`${server.search}${server.pathname}`)) {
    return yield* Stop.usage(
      "The address of the database has an @, a # or a ; behind the host: write %40, %23 and %3B for these, %3F for ? " +
        "and %2F for /."
    )
  }
  for (const [name, value] of server.searchParams) {
    const known = parameters.get(name.toLowerCase())
    if (known === undefined || (known.test(value) && name === name.toLowerCase())) continue
    return yield* Stop.usage(
      `The parameter ${name} of the address of the database can't be read. It is like ?port=5432, in lower case.`
    )
  }
  if (isFlag && hasPassword(server)) {
    return yield* Stop.usage(
      "A password in --db can be read by everybody on this machine. Give it in PGPASSWORD, or in the file that " +
        "PGPASSFILE names (default: ~/.pgpass)."
    )
  }
  return { shown: shownOf(server), filename, server: Redacted.make(server) }
})

/**
 * The database that `--db` names, else `FANOUT_DB`, else a file where XDG keeps what programs remember. A variable that
 * is empty counts as not set.
 */
export const of = Effect.fnUntraced(function*(
  flag: Option.Option<string>,
  env: NodeJS.ProcessEnv = Process.current().env,
  home: string = homedir()
): Effect.fn.Return<Database, Stop.Stop> {
  const { FANOUT_DB: own = "" } = env
  const usual = usualFile(env, home)
  const given = Option.getOrElse(flag, () => own === "" ? usual : own)
  if (isAddress(given)) return yield* ofServer(given, Option.isSome(flag), usual)
  if (isOtherAddress(given)) {
    return yield* Stop.usage("The database is a file, or an address like postgres://user@host:5432/name.")
  }
  if (given === ":memory:") return { shown: given, filename: given }
  const filename = Arguments.absolute(FilePath.make(given))
  // SQLite takes names for UTF-8, and would make a file of another name.
  if (filename.isWellFormed()) return { shown: filename, filename }
  return yield* Stop.usage(
    `The path of the database, "${FilePath.display(filename)}", is not UTF-8. Name another with --db PATH or FANOUT_DB.`
  )
})
