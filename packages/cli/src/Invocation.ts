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
    : [isDebugging ? Cause.pretty(cause) : printable(String(Cause.squash(cause)))]
  process.stderr.write(`fanout: ${[...parts.map((part) => printable(String(part))), ...why].join(": ")}\n`)
})

const isDebugging = process.env["FANOUT_DEBUG"] === "1"

/** Where spans and metrics are sent to, by the variable that all programs take it from; nowhere without it. */
const telemetry = (): Layer.Layer<never> => {
  const endpoint = process.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
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
      const trace = isDebugging ? [Cause.pretty(cause)] : []
      const lines = [...trace, stop.sentence].filter((line) => line !== "")
      return Effect.as(lines.length === 0 ? Effect.void : complain(lines.join("\n")), stop.code)
    })
  )

// Signals are the commands' own business, so this isn't the platform's runner, which interrupts all at the first one.
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  fiber.addObserver((exit) => teardown(exit, ProcessExit.exit))
})

/** Runs the command with the arguments of this process. */
export const main = (): void => {
  Signals.hearUser1()
  let worst = ExitCode.success
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (isUnread(error) || worst !== ExitCode.success) return
      worst = ExitCode.failed
      process.stderr.write(`fanout: the output can't be written: ${printable(error.message)}\n`)
    })
  }
  runMain(program(), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      const code = Exit.isSuccess(exit) ? Number(exit.value ?? ExitCode.success) : ExitCode.failed
      // A reader may be slower than what is written: to exit now would lose the rest. A stream tells of the error of
      // its last write a little after it.
      const flushed = [process.stdout, process.stderr].map((stream) =>
        new Promise<void>((resolve) => void stream.write("", () => resolve()))
      )
      void Promise.all(flushed).then(() => setImmediate(() => onExit(code === ExitCode.success ? worst : code)))
    }
  })
}
