/**
 * Shows one schedule: when it runs next, the jobs that it has started, and the command that it runs.
 */
import { server } from "./asking.ts"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { list, Refusal, type Schedule, schedule as read } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { type Fact, Facts } from "./Facts.tsx"
import { JobRow } from "./JobRow.tsx"
import { useLive } from "./live.ts"
import { Prose } from "./Prose.tsx"
import { type Route, to } from "./route.ts"
import { Coming, Last, ScheduleActions, Standing, Times } from "./ScheduleParts.tsx"
import { Section } from "./Section.tsx"
import { duration, printable, word } from "./shown.ts"
import { Moment } from "./Time.tsx"

interface Properties {
  readonly schedule: Schedule
}

/** Who runs it when its time comes, or what keeps it from running. */
const prospect = ({ hasCode, name, next, state }: Schedule): string => {
  if (state === "paused") return `\`fanout schedule resume ${word(name)}\` has it go on.`
  if (state === "waiting") return "It begins once the job before is over."
  if (next.length === 0) return "No time fits it any more."
  if (hasCode && server.value?.works === true) return "The process of this page runs it."
  const who = hasCode ? "`fanout serve` or `fanout jobs work`" : "its own program"
  return state === "due" ? `Its time has come, and nobody runs it: start ${who}.` : `It runs if ${who} is up then.`
}

/** Its jobs, the newest first. */
const Jobs = ({ name }: { readonly name: string }) => {
  const { error, value } = useLive(`jobs of ${name}`, (signal) => list({ schedule: name, limit: 10 }, signal))
  if (value === undefined) return error === undefined ? <Waiting /> : <Broken error={error} />
  return value.jobs.length === 0
    ? <p class="nothing">It has started none yet.</p>
    : (
      <>
        <ul class="jobs" aria-label="Jobs of this schedule">
          {value.jobs.map((job) => <JobRow key={job.id} job={job} canSelect={false} />)}
        </ul>
        <p class="pages">
          <a href={to(["jobs"], { schedule: name })}>{value.next === null ? "Show them in the list" : "all of them"}</a>
        </p>
      </>
    )
}

/** How it runs. */
const factsOf = (schedule: Schedule): ReadonlyArray<Fact> => {
  const { cron, failures, folder, jitterMillis, missed, overlap, pausedAt, timeZone } = schedule
  return [
    ["times", <code>{printable(cron)}</code>],
    ["time zone", printable(timeZone)],
    ["last", <Last schedule={schedule} />],
    ["a tick", printable(overlap)],
    ["missed ones", printable(missed)],
    ...jitterMillis === 0 ? [] : [["jitter", `up to ${duration(jitterMillis)} later`] as const],
    ...failures === null ? [] : [["failures", `pauses after ${failures} in a row`] as const],
    ...pausedAt === null ? [] : [["paused", <Moment at={pausedAt} />] as const],
    ...folder === null ? [] : [["folder", <code>{printable(folder)}</code>] as const]
  ]
}

export const ScheduleHead = ({ schedule }: Properties) => (
  <div class="head">
    <div>
      <p class="crumbs">
        <a href={to(["schedules"])}>Schedules</a> / {printable(schedule.name)}
      </p>
      <h1>{printable(schedule.name)}</h1>
      <p class="sentence">
        <Standing schedule={schedule} />
        <Times schedule={schedule} />
      </p>
    </div>
    <ScheduleActions schedule={schedule} canRemove />
  </div>
)

const Shown = ({ schedule }: Properties) => (
  <main>
    <ScheduleHead schedule={schedule} />
    <p class="hint">
      <Prose text={prospect(schedule)} />
    </p>
    <Section title={schedule.state === "paused" ? "Next, if it were resumed now" : "Next"}>
      {schedule.next.length === 0
        ? <p class="nothing">It never runs again.</p>
        : (
          <ol class="next">
            {schedule.next.map((at) => (
              <li key={at}>
                <Coming at={at} />
              </li>
            ))}
          </ol>
        )}
    </Section>
    <Section title="Its jobs">
      <Jobs name={schedule.name} />
    </Section>
    <Section title="What it runs">
      {schedule.command === null
        ? <p class="nothing">Jobs of the type “{printable(schedule.job)}”.</p>
        : <CopyText text={schedule.command} />}
    </Section>
    <Section title="How it runs">
      <Facts facts={factsOf(schedule)} />
    </Section>
    <Section title="The same on a terminal">
      {["show", schedule.state === "paused" ? "resume" : "pause", "run", "remove"].map((verb) => (
        <CopyText key={verb} text={`fanout schedule ${verb} ${word(schedule.name)}`} />
      ))}
    </Section>
  </main>
)

export const SchedulePage = ({ route }: { readonly route: Route }) => {
  const [, name = ""] = route.parts
  const { error, isStale, value } = useLive(`schedule ${name}`, (signal) => read(name, signal))
  const isMissing = error instanceof Refusal && error.status === 404
  if (value !== undefined && !isStale && !isMissing) return <Shown schedule={value} />
  return (
    <main>
      <h1>Schedule {printable(name)}</h1>
      {isMissing
        ? (
          <Blank title="There is no such schedule.">
            <p>
              It was removed, or it is in another store. <a href={to(["schedules"])}>Show all schedules</a>
            </p>
          </Blank>
        )
        : error === undefined
        ? <Waiting />
        : <Broken error={error} />}
    </main>
  )
}
