/**
 * `fanout schedule add`: keeps a command that is to run again and again.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as JobPriority from "@fanout/core/JobPriority"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"
import { withJobs } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import * as scheduleText from "../ui/scheduleText.ts"
import { print, tell } from "../ui/View.ts"

const config = {
  name: Argument.String("NAME").pipe(
    Argument.withDescription("Name of the schedule; one of that name is replaced"),
    Argument.filter((text) => text !== "", () => "Expected a name")
  ),
  command: Argument.String("COMMAND").pipe(
    Argument.withDescription("What is to run, behind `--`: copy, move, delete, hash, verify, thumbnail or metadata"),
    Argument.variadic({ min: 1 })
  ),
  cron: Flag.String("cron").pipe(
    Flag.withMetavar("EXPRESSION"),
    Flag.withDescription(
      "When: minute, hour, day, month and weekday, such as '0 3 * * *' for each night at three, or @hourly, @daily, " +
        "@weekly, @monthly or @yearly"
    )
  ),
  timeZone: Flag.String("tz").pipe(
    Flag.withMetavar("ZONE"),
    Flag.withDescription(
      "Time zone of these times, such as Europe/Berlin or +02:00, or --tz=-05:00 (default: that of this machine)"
    ),
    Flag.optional
  ),
  missed: Flag.Literals("missed", ["skip", "latest", "all"]).pipe(
    Flag.withDescription(
      "What becomes of times at which nothing was there to run it: none is made up for, the latest (default), or all"
    ),
    Flag.withDefault("latest" as const)
  ),
  jitter: Flag.String("jitter").pipe(
    Flag.withMetavar("DURATION"),
    Flag.filterMap(format.parseDuration, () => "Expected a duration like 30s, 10m or 2h"),
    Flag.withDescription("Begin up to so much later, each time at another moment, such as 10m"),
    Flag.withDefault(0)
  ),
  overlap: Flag.Literals("overlap", ["skip", "queue", "cancel"]).pipe(
    Flag.withDescription(
      "What to do while the job of an earlier time is not over: nothing (default), wait for it, or cancel it"
    ),
    Flag.withDefault("skip" as const)
  ),
  failures: Flag.Int("failures").pipe(
    Flag.withMetavar("N"),
    Flag.filter((n) => n >= 1, () => "Expected a number from 1 on"),
    Flag.withDescription("Pause it once N of its jobs have failed one after the other (default: never)"),
    Flag.optional
  ),
  priority: Settings.priority,
  json: Settings.json
}

type Given = Command.Command.Config.Infer<typeof config>

/** Flags that tell the process of a command something, and its job nothing. */
const unheard = ["--concurrency", "--dry-run", "--db", "--progress-every"]

/** What is wrong with a command for a schedule, which would be right by itself. */
const mistake = (args: ReadonlyArray<string>): string | undefined => {
  const found = unheard.find((flag) => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`)))
  if (found === "--dry-run") return "With --dry-run, nothing is done that could be scheduled."
  return found === undefined ? undefined : `${found} is for the process that runs it: give it to \`fanout jobs work\`.`
}

/** Whether the job of a command is there for lines, which are lost without a file. */
const losesLines = (name: string, args: ReadonlyArray<string>): boolean =>
  (name === "hash" || name === "metadata") && !args.some((arg) => /^(?:--output|-[a-z]*o)(?:=|$)/i.test(arg))

/** The job that the command would start now. Whoever has mistyped something is told so at once. */
const plan = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const why = mistake(args)
  if (why !== undefined) return yield* Stop.usage(why)
  const hosted = yield* Effect.promise(() => import("../HostedCommand.ts"))
  const request = { args, folder: Arguments.workingFolder() }
  const { name, settings } = yield* hosted.plan((yield* Settings.database).filename, request).pipe(
    // What a command ends with is for whoever waits for it.
    Effect.mapError(({ sentence }) => Stop.usage(sentence))
  )
  if (losesLines(name, args)) {
    return yield* Stop.usage(`Nobody is there to read the lines of \`fanout ${name}\`: name a file with --output.`)
  }
  return { request, settings }
})

/** Keeps the command, and says when it runs first. */
const keep = (given: Given, { request, settings }: Effect.Success<ReturnType<typeof plan>>) =>
  Effect.gen(function*() {
    const { cron, failures, jitter, json, missed, name, overlap, priority, timeZone } = given
    const manager = yield* JobManager
    const { job } = yield* Effect.promise(() => import("../host/ScheduledCommand.ts"))
    const isReplaced = (yield* manager.schedules).some((schedule) => schedule.name === name)
    yield* manager.schedule(job, request, {
      ...settings,
      name,
      cron,
      timeZone: Option.getOrElse(timeZone, () => Intl.DateTimeFormat().resolvedOptions().timeZone),
      missed,
      jitter,
      overlap,
      ...Option.match(priority, { onNone: () => ({}), onSome: (name) => ({ priority: JobPriority.numbers[name] }) }),
      ...Option.match(failures, { onNone: () => ({}), onSome: (failures) => ({ failures }) })
    })
    const schedule = (yield* manager.schedules).find((schedule) => schedule.name === name)
    if (schedule === undefined) return
    const next = yield* manager.nextTicks(schedule, 1)
    if (json) return yield* print(events.line("schedule", { ...events.schedule(schedule, next), isReplaced }))
    const what = `Schedule "${format.printable(name)}" is ${isReplaced ? "replaced" : "added"}.`
    yield* tell(`${what} ${scheduleText.nextSentence(schedule, next)}`)
  })

/** `fanout schedule add` */
export const add = Command.make(
  "add",
  config,
  (given) => Effect.flatMap(plan(given.command), (planned) => withJobs({ claim: "none" })(keep(given, planned)))
).pipe(
  Command.withDescription(
    "Keep a command that is to run at the times of a cron expression, in this folder. Its arguments are checked now, " +
      "and resolved anew each time. `fanout serve` or `fanout jobs work` runs it"
  ),
  Command.withShortDescription("Have a command run again and again"),
  Command.withExamples([
    {
      command: "fanout schedule add nightly --cron '0 3 * * *' -- copy -T Photos /mnt/backup/Photos",
      description: "Copy at three every night, and once the machine is on again if it was off then"
    },
    {
      command: "fanout schedule add check --cron @weekly --jitter 2h --failures 3 -- hash --check photos.b3",
      description: "Check all files once a week"
    }
  ])
)
