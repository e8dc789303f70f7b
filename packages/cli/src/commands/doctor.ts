/**
 * `fanout doctor`: tells what this machine allows, what follows from it, and what is wrong.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"
import { columns, print, whileRead } from "../ui/View.ts"

const config = {
  paths: Settings.pathArgument("PATH", "Files and folders that are to be worked on (default: the current folder)")
    .pipe(Argument.variadic()),
  json: Settings.json
}

/** `fanout doctor` */
export const examine = Command.make("doctor", config, ({ json, paths }) =>
  Effect.gen(function*() {
    const absolute = paths.length === 0 ? [Arguments.workingFolder()] : paths.map(Arguments.absolute)
    const { examination, linesOf } = yield* Effect.promise(() => import("./examination.ts"))
    const found = yield* examination(yield* Settings.database, absolute)
    yield* whileRead(Effect.forEach(linesOf(found, json, columns(process.stdout)), print, { discard: true }))
    if (found.checks.some(({ state }) => state === "broken")) return yield* Stop.withCode(ExitCode.someFailed)
  })).pipe(
    Command.withDescription(
      "Tell what this machine allows, how large the pools are and why, and what is wrong with the database of jobs"
    ),
    Command.withShortDescription("Tell what this machine allows, and what is wrong"),
    Command.withExamples([
      { command: "fanout doctor", description: "Before the first job, or when something is odd" },
      { command: "fanout doctor Photos /mnt/nas", description: "Tell what is under these paths, too" },
      { command: "fanout doctor --json", description: "The same for programs, one JSON object on each line" }
    ])
  )
