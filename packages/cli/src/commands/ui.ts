/**
 * `fanout ui`: shows jobs in a browser, and asks things of them there.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Signals from "../exit/Signals.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Settings from "../options/Settings.ts"
import * as PageAddress from "../output/PageAddress.ts"
import { withJobs } from "../run/JobRuntime.ts"
import { print, tell } from "../ui/View.ts"

/** What is tried first where nobody names a port: with it, an address can be kept. */
export const usualPort = 4180

/** `--port N` */
export const portFlag = (otherwise: string) =>
  Flag.Int("port").pipe(
    Flag.withMetavar("N"),
    Flag.filter((n) => n >= 0 && n <= 65_535, () => "Expected a port from 0 (any that is free) to 65535"),
    Flag.withDescription(`Port on this machine (default: ${otherwise})`),
    Flag.optional
  )

/** Programs that open an address in the browser of the person who works here. */
const openers: Readonly<Partial<Record<NodeJS.Platform, ReadonlyArray<string>>>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""]
}

/** Opens an address where there is a display. That it can't be opened is nothing wrong: it is printed, too. */
const open = (address: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const { env } = Process.current()
    const { platform } = process
    const hasDisplay = platform in openers || ["DISPLAY", "WAYLAND_DISPLAY"].some((name) => env[name])
    if (!hasDisplay) return
    const { spawn } = await import("node:child_process")
    const [program = "xdg-open", ...leading] = openers[platform] ?? []
    spawn(program, [...leading, address], { stdio: "ignore", detached: true }).on("error", () => {}).unref()
  })

/** `fanout ui` */
export const ui = Command.make(
  "ui",
  {
    port: portFlag(`${usualPort}, or any other that is free`),
    noOpen: Settings.toggle("no-open", "Only print the address, and open no browser"),
    readOnly: Settings.toggle("read-only", "Only show jobs: nothing can be asked of them from the page")
  },
  ({ noOpen, port, readOnly }) =>
    withJobs({ claim: "none" })(Effect.scoped(Effect.gen(function*() {
      const database = yield* Settings.database
      const { note, serve } = yield* Effect.promise(() => import("../UiServer.ts"))
      const signal = yield* Signals.listen
      const ports = Option.match(port, { onNone: () => [usualPort, 0], onSome: (port) => [port] })
      const offer = yield* PageAddress.teller(database, false)
      const address = yield* Effect.catchTag(
        serve({ database, isReadOnly: readOnly, offer, ports, works: false }),
        "PortUnavailable",
        ({ message }) => Effect.fail(Stop.usage(`${message}. Name another one with --port, or none at all.`))
      )
      yield* tell(`The address lets in one browser, to ${readOnly ? "see" : "see and control"} jobs. Ctrl-C stops.`)
      yield* print(note)
      if (!noOpen) yield* open(address)
      return yield* Stop.withCode(ExitCode.ofSignal(yield* signal))
    })))
).pipe(
  Command.withDescription("Show jobs in a browser on this machine, and pause, resume, cancel, retry or set them there"),
  Command.withShortDescription("Show jobs in a browser"),
  Command.withExamples([
    { command: "fanout ui", description: "Open the page of jobs" },
    { command: "fanout ui --no-open --port 8080", description: "Print the address, for a browser that is elsewhere" },
    { command: "fanout ui --read-only", description: "Only look" }
  ])
)
