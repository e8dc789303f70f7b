/**
 * `fanout doctor`: tells what this machine allows, what follows from it, and what is wrong.
 */
import * as FilePath from "@fanout/ops/FilePath"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Arguments from "../options/Arguments.ts"
import * as ClusterFlags from "../options/ClusterFlags.ts"
import type { Database } from "../options/Database.ts"
import * as Settings from "../options/Settings.ts"
import * as format from "../ui/format.ts"
import { columns, print, whileRead } from "../ui/View.ts"

const config = {
  paths: Settings.pathArgument(
    "PATH",
    "Files, folders and addresses that are to be worked on (default: the current folder)"
  ).pipe(Argument.variadic()),
  abortUploads: Flag.String("abort-uploads").pipe(
    Flag.withMetavar("AGE"),
    Flag.filterMap(format.parseDuration, () => "Expected an age like 12h, 1d or 2w"),
    Flag.withDescription("Abort uploads to these addresses that were begun longer ago, such as 1d, by whomever"),
    Flag.optional
  ),
  cluster: Settings.toggle("cluster", "Tell of the workers of the cluster, too, and connect to each of them"),
  json: Settings.json
}

const workersOf = (database: Database) =>
  Effect.gen(function*() {
    const security = yield* ClusterFlags.security()
    const { examination } = yield* Effect.promise(() => import("./clusterExamination.ts"))
    return yield* examination(database, security)
  })

const storesOf = (addresses: ReadonlyArray<FilePath.FilePath>, abortUploads: Option.Option<number>) =>
  Effect.gen(function*() {
    const { examination } = yield* Effect.promise(() => import("../machine/AddressExamination.ts"))
    return (yield* Effect.forEach(addresses, (address) => examination(address, abortUploads))).flat()
  })

/** `fanout doctor` */
export const examine = Command.make(
  "doctor",
  config,
  ({ abortUploads, cluster, json, paths }) =>
    Effect.gen(function*() {
      const all = paths.length === 0 ? [Arguments.workingFolder()] : paths.map(Arguments.absoluteOrAddress)
      const addresses = all.filter(FilePath.isAddress)
      if (Option.isSome(abortUploads) && addresses.length === 0) {
        return yield* Stop.usage(
          "Of which address are uploads to be aborted? `fanout doctor --abort-uploads 1d s3://…`"
        )
      }
      const { examination, linesOf } = yield* Effect.promise(() => import("./examination.ts"))
      const database = yield* Settings.namedDatabase
      const workers = cluster ? yield* workersOf(yield* Settings.database) : []
      const { checks, pools } = yield* examination(database, all.filter((path) => !FilePath.isAddress(path)))
      const stores = addresses.length === 0 ? [] : yield* storesOf(addresses, abortUploads)
      const found = { checks: [...checks, ...stores, ...workers], pools }
      yield* whileRead(
        Effect.forEach(linesOf(found, json, columns(Process.current().stdout)), print, { discard: true })
      )
      if (found.checks.some(({ state }) => state === "broken")) return yield* Stop.withCode(ExitCode.someFailed)
    })
).pipe(
  Command.withDescription(
    "Tell what this machine allows, how large the pools are and why, and what is wrong with the database of jobs"
  ),
  Command.withShortDescription("Tell what this machine allows, and what is wrong"),
  Command.withExamples([
    { command: "fanout doctor", description: "Before the first job, or when something is odd" },
    { command: "fanout doctor Photos /mnt/nas", description: "Tell what is under these paths, too" },
    { command: "fanout doctor s3://bucket", description: "Try the way to a bucket, and tell of uploads left open" },
    { command: "fanout doctor --cluster", description: "Tell which workers can be reached, and what they refuse" },
    { command: "fanout doctor --json", description: "The same for programs, one JSON object on each line" }
  ])
)
