/**
 * Flags that every command knows.
 */
import * as FilePath from "@fanout/ops/FilePath"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Param from "effect/cli/Param"
import * as Primitive from "effect/cli/Primitive"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as format from "../ui/format.ts"
import * as Arguments from "./Arguments.ts"
import * as Database from "./Database.ts"

/** What a shell completes as a path, and is taken as it was given: a slash at its end, or a dot, means something. */
const path = Object.assign(Primitive.Path("either"), {
  parse: (text: string) =>
    text === "" ? Effect.fail("Expected a path. An empty name is the name of no file") : Effect.succeed(text)
})

/** Argument that is a path. */
export const pathArgument = (name: string, description: string): Argument.Argument<FilePath.FilePath> =>
  Param.makeSingle({ kind: Param.argumentKind, name, primitiveType: path }).pipe(
    Argument.withDescription(description),
    Argument.map(FilePath.make)
  )

/** Arguments `PATH...`. Where there is none, it is asked for. */
export const paths = (description: string, question: string): Argument.Argument<Paths> =>
  pathArgument("PATH", description).pipe(
    Argument.variadic(),
    Argument.mapEffect((paths) =>
      Arr.isReadonlyArrayNonEmpty(paths)
        ? Effect.succeed(paths)
        : Effect.fail(new CliError.ValidationError({ message: question }))
    )
  )

/** At least one path. */
export type Paths = Arr.NonEmptyReadonlyArray<FilePath.FilePath>

/** Flag whose value is a path. */
export const pathFlag = (name: string, metavar: string, description: string): Flag.Flag<FilePath.FilePath> =>
  Param.makeSingle({ kind: Param.flagKind, name, primitiveType: path }).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(description),
    Flag.map(FilePath.make)
  )

/** What is said of a path that stands for the standard input. */
export const pipedIn =
  "What is piped in can't be read again when the job goes on. A file that is called \"-\" is named ./-"

/** `--output FILE` for lines. Its path has no links. */
export const output = (whatElse: string) =>
  pathFlag(
    "output",
    "FILE",
    `Write the lines to FILE, which is replaced once there are all of them, and ${whatElse}`
  ).pipe(Flag.withAlias("o"), Flag.map(Arguments.realPath), Flag.optional)

/** `--db PATH` */
export const db = GlobalFlag.Setting("db")({
  flag: pathFlag(
    "db",
    "PATH",
    "Database of jobs, a file or postgres://USER@HOST/NAME (default: FANOUT_DB, else fanout/jobs.db in " +
      "XDG_STATE_HOME or ~/.local/state)"
  ).pipe(Flag.optional)
})

/** `--progress-every DURATION`, in milliseconds; for ever where it is off. */
export const progressEvery = GlobalFlag.Setting("progress-every")({
  flag: Flag.String("progress-every").pipe(
    Flag.withMetavar("DURATION"),
    Flag.filterMap(
      (text) =>
        text === "off"
          ? Option.some(Number.POSITIVE_INFINITY)
          : Option.filter(format.parseDuration(text), (millis) => millis >= 1000),
      () => "Expected a duration from 1s on, such as 30s or 5m, or off"
    ),
    Flag.withDescription("How often to say how far a job is where no terminal shows it (default: 30s; SIGUSR1: now)"),
    Flag.withDefault(30_000)
  )
})

/** The database of jobs, as it was named. */
export const namedDatabase = Effect.flatMap(db, (flag) => Database.of(flag))

/** The database of jobs, to be opened. */
export const database = Effect.tap(namedDatabase, (named) => {
  const why = Database.whyNotObeyed(named)
  return why === undefined ? Effect.void : Effect.fail(Stop.exposed(why))
})

/** Files of the database: read while they are written to, they would be of no use. */
export const databaseFiles = Effect.gen(function*() {
  const { filename } = yield* database
  if (filename === ":memory:") return []
  const path = yield* Effect.sync(() => Arguments.realPath(FilePath.make(filename)))
  return Database.filesOf(path).map(FilePath.make)
})

/**
 * Flag that is off where it isn't given. A flag can be given once, so there is nothing for a negation to undo. The word
 * behind it is never its value: a file may be called "no" or "1".
 */
export const toggle = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withoutNegation,
    Flag.withOptionalValue("true"),
    Flag.withDescription(description),
    Flag.withDefault(false)
  )

/** `--help` */
export const help: typeof GlobalFlag.Help = {
  ...GlobalFlag.Help,
  flag: toggle("help", "Show help information").pipe(
    Flag.withAlias("h"),
    Flag.filter((isGiven) => isGiven, () => "Expected no value")
  )
}

/** `--json` */
export const json = toggle("json", "Print one JSON object on each line")

/** `--quiet` */
export const quiet = toggle("quiet", "Print nothing but what went wrong").pipe(Flag.withAlias("q"))

/** `--quiet` of a command that is there to print something. */
export const quietBut = (results: string) =>
  toggle("quiet", `Print nothing but ${results} and what went wrong`).pipe(Flag.withAlias("q"))

/** `ID` of a job. */
export const jobId = Argument.String("ID").pipe(
  Argument.withDescription("Id of the job, as `fanout jobs list` shows it, or how it begins"),
  Argument.filter((text) => text !== "", () => "Expected the id of a job")
)

/** `--priority NAME` */
export const priority = Flag.Literals("priority", ["low", "normal", "high", "critical"]).pipe(
  Flag.withDescription("How urgent it is beside other jobs"),
  Flag.optional
)

/** `--bandwidth RATE`, in bytes a second */
export const bandwidth = (description: string) =>
  Flag.String("bandwidth").pipe(
    Flag.withMetavar("RATE"),
    Flag.filterMap(
      (text) => text === "off" ? Option.some(null) : Option.filter(format.parseBytes(text), (rate) => rate >= 1),
      () => "Expected bytes a second like 20MB, 1.5GiB or 512K, or off"
    ),
    Flag.withDescription(description),
    Flag.optional
  )

/** `--concurrency N` */
export const concurrency = Flag.Int("concurrency").pipe(
  Flag.withMetavar("N"),
  Flag.filter((n) => n >= 1 && n <= 1024, () => "Expected a number from 1 to 1024"),
  Flag.withDescription("How many files are worked on at the same time (default: what `fanout doctor` tells)"),
  Flag.optional
)
