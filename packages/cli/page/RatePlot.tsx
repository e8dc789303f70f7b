/**
 * Plots how fast a job was over its life. Lines with words mark its turns, and a cursor tells the figures of a moment.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { amountsOf, momentsOf } from "./axes.ts"
import type { History } from "./client.ts"
import { type Point, pointsOf, unitOf, windowMillis } from "./rates.ts"
import { clock, counted, day, rate, type Unit } from "./shown.ts"

/** What lies around the plot: numbers at its left, words of marks above it, times below it. */
const box = { height: 240, left: 88, right: 8, top: 24, bottom: 24 }
const bottom = box.height - box.bottom
const perMoment = 110

type Mark = History["marks"][number]

const words: Readonly<Record<Mark["kind"], string>> = {
  Started: "started",
  Set: "set",
  Paused: "paused",
  Stopped: "stopped",
  Ended: "ended"
}

/** About how wide a word of a mark is. */
const wordWidth = (word: string): number => 7 * word.length + 8

/** Where moments and rates are drawn. */
interface Scale {
  readonly from: number
  readonly to: number
  readonly top: number
  readonly x: (at: number) => number
  readonly y: (perSecond: number) => number
}

const scaleOf = (points: ReadonlyArray<Point>, marks: ReadonlyArray<Mark>, unit: Unit, width: number): Scale => {
  const ats = [...points, ...marks].map(({ at }) => at)
  const from = Math.min(...ats)
  const to = Math.max(...ats, from + 1000)
  const top = amountsOf(unit, Math.max(...points.map(({ perSecond }) => perSecond))).at(-1) ?? 1
  const wide = Math.max(1, width - box.left - box.right)
  return {
    from,
    to,
    top,
    x: (at) => box.left + (at - from) / (to - from) * wide,
    y: (perSecond) => bottom - perSecond / top * (bottom - box.top)
  }
}

/** Points between two gaps. */
const runsOf = (points: ReadonlyArray<Point>): ReadonlyArray<ReadonlyArray<Point>> => {
  const runs: Array<Array<Point>> = []
  for (const point of points) {
    if (point.isFirst || runs.length === 0) runs.push([])
    runs.at(-1)?.push(point)
  }
  return runs
}

/** A run is drawn from the sample before its first rate. */
const lineOf = (run: ReadonlyArray<Point>, { x, y }: Scale): string => {
  const [first] = run
  const start = first === undefined ? [] : [`${x(first.before).toFixed(1)},${y(first.perSecond).toFixed(1)}`]
  return [...start, ...run.map(({ at, perSecond }) => `${x(at).toFixed(1)},${y(perSecond).toFixed(1)}`)].join("L")
}

const Run = ({ run, scale }: { readonly run: ReadonlyArray<Point>; readonly scale: Scale }) => {
  const line = lineOf(run, scale)
  const [from, to] = [run[0]?.before ?? 0, run.at(-1)?.at ?? 0].map((at) => scale.x(at).toFixed(1))
  return (
    <>
      <path class="area" d={`M${from},${bottom}L${line}L${to},${bottom}z`} />
      <path class="line" d={`M${line}`} />
    </>
  )
}

const Axes = ({ scale, unit, width }: { readonly scale: Scale; readonly unit: Unit; readonly width: number }) => {
  const { from, to, top, x, y } = scale
  const many = Math.floor((width - box.left - box.right) / perMoment)
  const isLong = to - from > 86_400_000
  return (
    <>
      {amountsOf(unit, top).map((one) => (
        <g key={one}>
          <path class="grid" d={`M${box.left},${Math.round(y(one)) + 0.5}H${width - box.right}`} />
          <text x={box.left - 8} y={y(one) + 4} text-anchor="end">{one === 0 ? "0" : rate(unit, one)}</text>
        </g>
      ))}
      {momentsOf(from, to, many).filter((at) => x(at) < width - 32 && x(at) > box.left + 24).map((at) => (
        <text key={at} x={x(at)} y={box.height - 4} text-anchor="middle">{isLong ? day(at) : clock(at)}</text>
      ))}
    </>
  )
}

/** Each mark has a line; its word stands only where it covers no other one. */
const Marks = ({ marks, scale, width }: {
  readonly marks: ReadonlyArray<Mark>
  readonly scale: Scale
  readonly width: number
}) => {
  let free = 0
  return (
    <>
      {marks.map(({ at, kind }) => {
        const x = Math.round(scale.x(at)) + 0.5
        const isLeft = x + wordWidth(words[kind]) > width
        const from = isLeft ? x - wordWidth(words[kind]) : x
        const isShown = from >= free
        if (isShown) free = from + wordWidth(words[kind])
        return (
          <g key={`${at} ${kind}`} class="mark">
            <title>{words[kind]}, {clock(at)}</title>
            <path d={`M${x},${isShown ? 4 : box.top}V${bottom}`} />
            {isShown && (
              <text x={isLeft ? x - 4 : x + 4} y={14} text-anchor={isLeft ? "end" : "start"}>{words[kind]}</text>
            )}
          </g>
        )
      })}
    </>
  )
}

/** The point that is nearest to a moment. */
const nearest = (points: ReadonlyArray<Point>, at: number): Point | undefined =>
  points.reduce<Point | undefined>(
    (best, point) => best === undefined || Math.abs(point.at - at) < Math.abs(best.at - at) ? point : best,
    undefined
  )

const told = ({ at, perSecond, tasks }: Point, unit: Unit, near: ReadonlyArray<Mark>): string =>
  [clock(at), rate(unit, perSecond), `${counted(tasks, "task")} under way`, ...near.map(({ kind }) => words[kind])]
    .join(" · ")

export const RatePlot = ({ history }: { readonly history: History }) => {
  const element = useRef<HTMLElement>(null)
  const [width, setWidth] = useState(0)
  const [cursor, setCursor] = useState<number>()
  useLayoutEffect(() => {
    if (element.current === null) return
    const sized = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    sized.observe(element.current)
    return () => sized.disconnect()
  }, [])
  const unit = unitOf(history)
  const points = pointsOf(history, unit)
  const scale = scaleOf(points, history.marks, unit, width)
  const { from, to, x, y } = scale
  const at = (clientX: number): number => {
    const left = element.current?.getBoundingClientRect().left ?? 0
    return from + (clientX - left - box.left) / Math.max(1, width - box.left - box.right) * (to - from)
  }
  const point = cursor === undefined ? undefined : nearest(points, cursor)
  const over = history.everyMillis < windowMillis ? `over ${windowMillis / 1000} s each` : "between samples"
  const near = history.marks.filter((mark) => point !== undefined && Math.abs(x(mark.at) - x(point.at)) < 6)
  const fastest = Math.max(...points.map(({ perSecond }) => perSecond))
  return (
    <figure class="plot" ref={element}>
      <figcaption>
        {point === undefined
          ? `${unit === "bytes" ? "Bytes" : "Elements"} per second, ${over}, at most ${rate(unit, fastest)}`
          : told(point, unit, near)}
      </figcaption>
      <svg
        role="img"
        aria-label={`Rate from ${clock(from)} to ${clock(to)}, at most ${rate(unit, fastest)}`}
        width={width}
        height={box.height}
        onPointerMove={({ clientX }) => setCursor(at(clientX))}
        onPointerLeave={() => setCursor(undefined)}
      >
        {width > 0 && (
          <>
            <Axes scale={scale} unit={unit} width={width} />
            {runsOf(points).map((run) => <Run key={run[0]?.at} run={run} scale={scale} />)}
            <Marks marks={history.marks} scale={scale} width={width} />
            {point !== undefined && (
              <g class="cursor">
                <path d={`M${Math.round(x(point.at)) + 0.5},${box.top}V${bottom}`} />
                <circle cx={x(point.at)} cy={y(point.perSecond)} r="4" />
              </g>
            )}
          </>
        )}
      </svg>
    </figure>
  )
}
