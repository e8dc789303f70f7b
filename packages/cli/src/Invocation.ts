/**
 * Runs the command and turns what it ended with into a sentence and an exit code.
 */
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import { cli } from "./Cli.ts"
import { platform, presenter } from "./CommandLine.ts"
import * as ExitCode from "./exit/ExitCode.ts"
import * as ProcessExit from "./exit/ProcessExit.ts"
import * as Signals from "./exit/Signals.ts"
import * as Stop from "./exit/Stop.ts"
import * as Process from "./host/Process.ts"
import * as Arguments from "./options/Arguments.ts"
import * as Settings from "./options/Settings.ts"
import { version } from "./Package.ts"
import { printable } from "./ui/format.ts"
import { complain, isUnread } from "./ui/View.ts"

/** What a failed command ends with. */
const toStop = (cause: Cause.Cause<CliError.CliError | Stop.Stop>): Stop.Stop => {
  const error = Cause.squash(cause)
  if (error instanceof Stop.Stop) return error
  if (error instanceof CliError.ShowHelp) {
    return Stop.withCode(error.errors.length === 0 ? ExitCode.success : ExitCode.usage)
  }
  return CliError.isCliError(error) ? Stop.usage(error.message) : Stop.fromDefect(error)
}

/** What the runtime warns of is one line beside the output. */
const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
  if (!LogLevel.isGreaterThanOrEqualTo(logLevel, "Warn")) return
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  const why = cause.reasons.length === 0
    ? []
    : [isDebugging() ? Cause.pretty(cause) : printable(String(Cause.squash(cause)))]
  Process.current().stderr.write(`fanout: ${[...parts.map((part) => printable(String(part))), ...why].join(": ")}\n`)
})

const isDebugging = (): boolean => Process.current().env["FANOUT_DEBUG"] === "1"

/** Where spans and metrics are sent to, by the variable that all programs take it from; nowhere without it. */
const telemetry = (): Layer.Layer<never> => {
  const endpoint = Process.current().env["OTEL_EXPORTER_OTLP_ENDPOINT"]
  return endpoint === undefined || endpoint === ""
    ? Layer.empty
    : Layer.unwrap(Effect.map(Effect.promise(() => import("./Telemetry.ts")), ({ layer }) => layer(endpoint, version)))
}

const program = () =>
  Effect.suspend(() => Command.runWith(cli, { version })(Arguments.ofProcess())).pipe(
    Effect.provideService(CliConfig.CliConfig, { builtIns: [Settings.help] }),
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provide([platform, Logger.layer([logger]), telemetry()]),
    Effect.catchCause((cause) => {
      const stop = toStop(cause)
      const trace = isDebugging() ? [Cause.pretty(cause)] : []
      const lines = [...trace, stop.sentence].filter((line) => line !== "")
      return Effect.as(lines.length === 0 ? Effect.void : complain(lines.join("\n")), stop.code)
    })
  )

/**
 * Runs the command with the arguments of its process, and gives its exit code. Never fails: what goes wrong is told by
 * then, with all else that the command has to say.
 */
export const run = Effect.gen(function*() {
  const { stderr, stdout } = Process.current()
  let worst = ExitCode.success
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (isUnread(error) || worst !== ExitCode.success) return
      worst = ExitCode.failed
      stderr.write(`fanout: the output can't be written: ${printable(error.message)}\n`)
    })
  }
  const code = (yield* program()) ?? ExitCode.success
  // A reader may be slower than what is written: to exit now would lose the rest. A stream tells of the error of its
  // last write a little after it.
  yield* Effect.promise(async () => {
    await Promise.all(
      [stdout, stderr].map((stream) => new Promise<void>((resolve) => void stream.write("", () => resolve())))
    )
    await new Promise<void>((resolve) => void setImmediate(resolve))
  })
  return code === ExitCode.success ? worst : code
})

// Signals are the commands' own business, so this isn't the platform's runner, which interrupts all at the first one.
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  fiber.addObserver((exit) => teardown(exit, ProcessExit.exit))
})

/** Runs the command in this process, and ends it. */
export const main = (): void => {
  Signals.hearUser1()
  runMain(run, {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? Number(exit.value) : ExitCode.failed)
  })
}

/** Runs the command in a process that somebody else ends. */
export const runIn = (self: Process.Process): Promise<number> =>
  Effect.runPromise(Effect.provideService(run, Process.Current, self))
