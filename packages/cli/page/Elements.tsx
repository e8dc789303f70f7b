/**
 * Shows the failed elements of a job, a hundred at a time, by cause, and tries chosen ones again.
 */
import { useEffect } from "preact/hooks"
import { retryOnly, server, whoRunsIt } from "./asking.ts"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { causesOf, toCause } from "./Causes.tsx"
import { type Detail, type Element, elements } from "./client.ts"
import { useLive } from "./live.ts"
import { Prose } from "./Prose.tsx"
import { type Route, to } from "./route.ts"
import { choose, chooseNone, chosen, mostChosen } from "./selection.ts"
import { count, counted, printable } from "./shown.ts"
import { Moment } from "./Time.tsx"

const pageLength = 100

interface TableProperties {
  readonly items: ReadonlyArray<Element>
  readonly canChoose: boolean
}

const ChooseAll = ({ items }: Pick<TableProperties, "items">) => (
  <input
    id="choose-all"
    type="checkbox"
    aria-label="Choose all on this page"
    checked={items.every(({ seq }) => chosen.value.has(seq))}
    onChange={({ currentTarget }) => choose(items.map(({ seq }) => seq), currentTarget.checked)}
  />
)

export const ElementTable = ({ canChoose, items }: TableProperties) => (
  <table class="elements">
    <thead>
      <tr>
        {canChoose && (
          <th>
            <ChooseAll items={items} />
          </th>
        )}
        <th>What</th>
        <th>Cause</th>
        <th>Why</th>
        <th>When</th>
      </tr>
    </thead>
    <tbody>
      {items.map(({ at, attempt, cause, key, message, seq }) => (
        <tr key={seq} class={canChoose && chosen.value.has(seq) ? "row selected" : "row"}>
          {canChoose && (
            <td>
              <input
                type="checkbox"
                aria-label={`Choose ${printable(key)}`}
                checked={chosen.value.has(seq)}
                onChange={({ currentTarget }) => choose([seq], currentTarget.checked)}
              />
            </td>
          )}
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
}

/** What a retry of so many elements does. */
const Effects = ({ job, many }: Properties & { readonly many: number }) => {
  const others = job.progress.failed - many
  const stay = others > 0 ? ` The other ${count(others)} stay as they are.` : ""
  return <Prose text={`Attempt ${count(job.attempt + 1)} tries only these again.${stay} ${whoRunsIt(job)}`} />
}

/** What is chosen, and what becomes of it. */
export const ChosenStrip = ({ job }: Properties) => {
  const many = chosen.value.size
  return many === 0 ? null : (
    <section class="strip chosen" aria-label="What is chosen">
      <span>
        <strong>{counted(many, "failure")} chosen{many === mostChosen && ", the most that one retry takes"}.</strong>
        {" "}
        <Effects job={job} many={many} />
      </span>
      <span class="buttons">
        <button
          type="button"
          onClick={() => retryOnly(job, { elements: Array.from(chosen.value) }, counted(many, "failure"), chooseNone)}
        >
          Retry these {count(many)}
        </button>
        <button type="button" class="quiet" onClick={chooseNone}>Choose none</button>
      </span>
    </section>
  )
}

/** Tries all of a cause again. The rarest causes are counted together, and have no name for that. */
export const OfCause = ({ cause, job }: Properties & { readonly cause: string }) => {
  const many = job.progress.causes[cause] ?? 0
  return many === 0 ? null : (
    <div class="of-cause">
      <button
        type="button"
        onClick={() => retryOnly(job, { cause }, `${counted(many, "failure")} of ${printable(cause)}`, chooseNone)}
      >
        Retry all {count(many)} of {printable(cause)}
      </button>
      <p class="hint">
        <Effects job={job} many={many} />
      </p>
    </div>
  )
}

export const Elements = ({ job, route: { query } }: Properties & { readonly route: Route }) => {
  const cause = query.get("cause")
  const after = query.get("after")
  const at = ["jobs", job.id, "failed"]
  const { error, isStale, value } = useLive(
    `${job.id} ${cause} ${after}`,
    (signal) => elements(job.id, { cause, after, limit: pageLength }, signal),
    0,
    // Only a job that runs records elements.
    job.state === "Running" ? undefined : job.updatedAt
  )
  const canChoose = server.value?.isReadOnly === false && job.actions.includes("retry")
  // Those of another job, or of an attempt that is over, can't be tried again.
  useEffect(() => chooseNone, [job.id, job.attempt, canChoose])
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
      {canChoose && cause !== null && <OfCause job={job} cause={cause} />}
      {value === undefined && (error === undefined ? <Waiting /> : <Broken error={error} />)}
      {value?.items.length === 0 && <Blank title="There are no more failures here." />}
      {value !== undefined && value.items.length > 0 && <ElementTable items={value.items} canChoose={canChoose} />}
      <nav class="pages" aria-label="Pages">
        {after !== null && <a href={to(at, { cause })}>← the first</a>}
        {value !== undefined && value.next !== null && (
          <a href={to(at, { cause, after: `${value.next}` })}>next {count(pageLength)} →</a>
        )}
        <span>{counted(value?.items.length ?? 0, "failure")} on this page</span>
      </nav>
      {canChoose && <ChosenStrip job={job} />}
    </section>
  )
}
