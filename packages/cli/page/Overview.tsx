/**
 * Shows what most look for first at a job: its plot, the causes of its failures, its children, its settings, and the
 * commands that do the same.
 */
import { server } from "./asking.ts"
import { Causes } from "./Causes.tsx"
import type { Detail, History } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { type Fact, Facts } from "./Facts.tsx"
import { isOver } from "./places.ts"
import { RatePlot } from "./RatePlot.tsx"
import { pointsOf, unitOf } from "./rates.ts"
import { to } from "./route.ts"
import { Section } from "./Section.tsx"
import { SettingsForm } from "./SettingsForm.tsx"
import { count, printable, setBytes } from "./shown.ts"
import { Moment } from "./Time.tsx"
import { ChildCounts } from "./Tree.tsx"

interface Properties {
  readonly job: Detail
}

/** What it is to do, and what it may use. */
const factsOf = (job: Detail): ReadonlyArray<Fact> => {
  const [verb, what] = job.what
  const { bytesPerSecond, concurrency } = job.limits
  return [
    [verb, printable(what)],
    ["so far", printable(job.counted)],
    ["priority", job.priority],
    ["at once", concurrency === null ? "as many tasks as it may" : `at most ${count(concurrency)}`],
    ...job.isThrottled
      ? [["bandwidth", bytesPerSecond === null ? "no limit" : `at most ${setBytes(bytesPerSecond)}/s`] as const]
      : [],
    ["created", <Moment at={job.createdAt} />],
    ...job.parent === null ? [] : [["started by", <a href={to(["jobs", job.parent])}>{job.parent}</a>] as const],
    ...job.schedule === null
      ? []
      : [["schedule", <a href={to(["schedules", job.schedule])}>{printable(job.schedule)}</a>] as const],
    ...job.tags.length === 0 ? [] : [["tags", job.tags.map(printable).join(", ")] as const]
  ]
}

export const Overview = ({ history, job }: Properties & { readonly history: History | undefined }) => {
  const canSet = server.value?.isReadOnly === false && !isOver(job)
  const isPlotted = history !== undefined && pointsOf(history, unitOf(history)).length > 1
  return (
    <>
      <Section title="Rate">
        {isPlotted
          ? <RatePlot history={history} />
          : <p class="nothing">There is a plot once the job has run for some seconds.</p>}
      </Section>
      {job.progress.failed > 0 && (
        <Section title={job.name === "verify" ? "What differs" : "Why elements failed"}>
          <Causes job={job} />
        </Section>
      )}
      {Object.keys(job.children).length > 0 && (
        <Section title="Jobs it has started">
          <ChildCounts id={job.id} counts={job.children} />
        </Section>
      )}
      <Section title="What it is">
        <Facts facts={factsOf(job)} />
      </Section>
      {canSet && (
        <Section title="Settings">
          <SettingsForm job={job} />
        </Section>
      )}
      <Section title="The same on a terminal">
        {job.commands.map((command) => <CopyText key={command} text={command} />)}
      </Section>
    </>
  )
}
