/**
 * `fanout jobs limit`: what all processes of a database keep together.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Api from "../api/Api.ts"
import * as CommonLimits from "../api/CommonLimits.ts"
import * as Stop from "../exit/Stop.ts"
import * as Settings from "../options/Settings.ts"
import { hasCode, withJobs } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { print, tell } from "../ui/View.ts"

const sentence = ({ kind, most, name }: Api.CommonLimitChange): string => {
  const [of, what] = kind === "jobs" ? ["", "jobs at the same time"] : ["rate ", "tasks a second"]
  const limit = most === null ? "no limit" : `at most ${format.count(most)} ${what}`
  return `${of}${format.printable(name)}: ${limit} in all processes together`
}

const show = (limit: Api.CommonLimitChange, json: boolean) =>
  json ? print(events.line("limit", { ...limit })) : print(sentence(limit))

const list = (json: boolean) =>
  Effect.gen(function*() {
    const limits = yield* CommonLimits.list
    for (const limit of limits) yield* show(limit, json)
    if (limits.length === 0 && !json) yield* print("No limit is set for all processes together.")
  })

const set = (limit: Api.CommonLimitChange, json: boolean) =>
  Effect.gen(function*() {
    yield* CommonLimits.set(limit)
    yield* show(limit, json)
    if (json || limit.most === null || limit.kind === "rate" || (yield* hasCode(limit))) return
    yield* tell(
      `\`fanout\` has no jobs of the type "${format.printable(limit.name)}": your own programs keep the limit.`
    )
  })

/** `fanout jobs limit` */
export const limit = Command.make(
  "limit",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("Type of the jobs, such as copy, or the name of a rate"),
      Argument.optional
    ),
    most: Argument.String("n").pipe(
      Argument.filterMap(
        (text) =>
          text === "off"
            ? Option.some(null)
            : /^\d{1,6}(?:\.\d{1,3})?$/.test(text)
            ? Option.some(Number(text))
            : Option.none(),
        () => "Expected a number from 0 on, or off"
      ),
      Argument.withDescription("So many at most; 0 lets none begin, off takes the limit away"),
      Argument.optional
    ),
    rate: Settings.toggle("rate", "Limit how many tasks of a rate begin in a second, in place of jobs of a type"),
    json: Settings.json
  },
  Effect.fnUntraced(function*({ json, most, name, rate }) {
    if (Option.isNone(name)) return yield* withJobs({ claim: "none" })(list(json))
    if (Option.isNone(most)) return yield* Stop.usage("How many at most? Give a number from 0 on, or off.")
    const wanted = { kind: rate ? "rate" as const : "jobs" as const, name: name.value, most: most.value }
    if (!rate && !Number.isInteger(wanted.most ?? 0)) {
      return yield* Stop.usage(`Jobs run in whole numbers, so ${wanted.most} does not do.`)
    }
    return yield* withJobs({ claim: "none" })(set(wanted, json))
  })
).pipe(
  Command.withDescription(
    "Limit how many jobs of a type run at the same time, or how many tasks of a rate begin in a second, in all " +
      "processes of the database together. What runs goes on. Without a name, show these limits."
  ),
  Command.withShortDescription("Limit jobs of a type in all processes together"),
  Command.withExamples([
    {
      command: "fanout jobs limit copy 2",
      description: "Have at most two copies run at once, on all machines together"
    },
    { command: "fanout jobs limit copy off", description: "Have as many run as there are places" },
    {
      command: "fanout jobs limit --rate api 50",
      description: "Slow down tasks of your own that name the rate \"api\""
    }
  ])
)
