/**
 * Shows the failed elements of a job, a hundred at a time, by cause.
 */
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { causesOf, toCause } from "./Causes.tsx"
import { type Detail, type Element, elements } from "./client.ts"
import { useLive } from "./live.ts"
import { type Route, to } from "./route.ts"
import { count, counted, printable } from "./shown.ts"
import { Moment } from "./Time.tsx"

const pageLength = 100

export const ElementTable = ({ items }: { readonly items: ReadonlyArray<Element> }) => (
  <table class="elements">
    <thead>
      <tr>
        <th>What</th>
        <th>Cause</th>
        <th>Why</th>
        <th>When</th>
      </tr>
    </thead>
    <tbody>
      {items.map(({ at, attempt, cause, key, message, seq }) => (
        <tr key={seq}>
          <td class="wrap">
            <code>{printable(key)}</code>
          </td>
          <td>{printable(cause ?? "")}</td>
          <td class="wrap">{printable(message)}</td>
          <td>
            <Moment at={at} />
            {attempt > 1 && `, attempt ${count(attempt)}`}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
)

interface Properties {
  readonly job: Detail
  readonly route: Route
}

export const Elements = ({ job, route: { query } }: Properties) => {
  const cause = query.get("cause")
  const after = query.get("after")
  const at = ["jobs", job.id, "failed"]
  const { error, isStale, value } = useLive(
    `${job.id} ${cause} ${after}`,
    (signal) => elements(job.id, { cause, after, limit: pageLength }, signal)
  )
  if (job.progress.failed === 0) return <Blank title="No element has failed." />
  return (
    <section aria-busy={isStale}>
      <h2 class="unseen">Failures</h2>
      <nav class="states" aria-label="Failures by cause">
        <a href={to(at)} aria-current={cause === null ? "true" : undefined}>
          all <span class="number">{count(job.progress.failed)}</span>
        </a>
        {causesOf(job).map(([name, many]) => (
          <a key={name} href={toCause(job.id, name)} aria-current={cause === name ? "true" : undefined}>
            {printable(name)} <span class="number">{count(many)}</span>
          </a>
        ))}
      </nav>
      {value === undefined && (error === undefined ? <Waiting /> : <Broken error={error} />)}
      {value?.items.length === 0 && <Blank title="There are no more failures here." />}
      {value !== undefined && value.items.length > 0 && <ElementTable items={value.items} />}
      <nav class="pages" aria-label="Pages">
        {after !== null && <a href={to(at, { cause })}>← the first</a>}
        {value !== undefined && value.next !== null && (
          <a href={to(at, { cause, after: `${value.next}` })}>next {count(pageLength)} →</a>
        )}
        <span>{counted(value?.items.length ?? 0, "failure")} on this page</span>
      </nav>
    </section>
  )
}
