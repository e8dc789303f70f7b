/**
 * `fanout serve`: runs what is queued and what schedules start, and shows it, as a service.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as ClusterFlags from "../options/ClusterFlags.ts"
import * as Settings from "../options/Settings.ts"
import * as PageAddress from "../output/PageAddress.ts"
import { withJobs } from "../run/JobRuntime.ts"
import { complain, print } from "../ui/View.ts"
import { tellOfAll } from "./jobsAsk.ts"
import { portFlag, usualPort } from "./ui.ts"

/** Tells a service manager that this service is ready, if one has started it and wants to know. */
const notifyReady: Effect.Effect<void> = Effect.promise(async () => {
  const { NOTIFY_SOCKET: socket = "" } = Process.current().env
  if (socket === "") return undefined
  const { spawn } = await import("node:child_process")
  return new Promise<string | undefined>((resolve) => {
    spawn("systemd-notify", [`--pid=${process.pid}`, "--ready"], { stdio: "ignore" })
      .on("error", ({ message }) => resolve(message))
      .on("exit", (code, signal) => resolve(code === 0 ? undefined : `it ended with ${signal ?? code}`))
  })
}).pipe(
  Effect.flatMap((why) => why === undefined ? Effect.void : complain(`systemd-notify can't be run: ${why}`))
)

/** `fanout serve` */
export const serve = Command.make(
  "serve",
  {
    port: portFlag(`${usualPort}`),
    readOnly: Settings.toggle("read-only", "Only show jobs on the page: nothing can be asked of them there"),
    concurrency: Settings.concurrency,
    ...ClusterFlags.flags,
    json: Settings.json,
    quiet: Settings.quietBut("where the page is")
  },
  Effect.fnUntraced(function*({ cluster, concurrency, port, readOnly, shared, ...options }) {
    const database = yield* Settings.database
    const membership = yield* ClusterFlags.membership({ cluster, shared }, database)
    const run = Effect.scoped(Effect.gen(function*() {
      const manager = yield* JobManager
      const { serve } = yield* Effect.promise(() => import("../UiServer.ts"))
      const signal = yield* Signals.listen
      const ports = [Option.getOrElse(port, () => usualPort)]
      const offer = yield* PageAddress.teller(database, options.json)
      yield* Effect.catchTag(
        serve({ database, isReadOnly: readOnly, offer, ports, works: true }),
        "PortUnavailable",
        ({ message }) => Effect.fail(Stop.usage(`${message}. Name another one with --port.`))
      )
      if (!options.json && !options.quiet) {
        yield* print(
          `Waiting for jobs${ClusterFlags.asMember(membership)}${
            Process.current().stdout.isTTY ? "; Ctrl-C stops" : ""
          }.`
        )
      }
      yield* Effect.forkScoped(notifyReady)
      const stoppedBy = yield* Effect.raceFirst(signal, tellOfAll(options))
      yield* manager.shutdown
      return yield* Stop.withCode(ExitCode.ofSignal(stoppedBy))
    }))
    return yield* withJobs({ claim: "all", concurrency, isDurable: true, membership })(run)
  })
).pipe(
  Command.withDescription(
    "Run jobs that are queued and the jobs of schedules, as `fanout jobs work` does, and show all jobs in a browser, " +
      "as `fanout ui` does, until stopped. GET /healthz tells whether the database answers."
  ),
  Command.withShortDescription("Run jobs and schedules, and show them, as a service"),
  Command.withExamples([
    { command: "fanout serve", description: "Run and show jobs until Ctrl-C" },
    {
      command: "fanout serve --quiet --port 8080",
      description: "As a service; docs/operating.md has a unit for systemd"
    }
  ])
)
