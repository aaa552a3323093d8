// The parts of Apache ECharts that the report draws with: half of the whole.
import "./brush.mjs"; // before the rest
import { use } from "echarts/core";
import { BarChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import { BrushComponent, GridComponent, ParallelComponent, VisualMapContinuousComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, ParallelChart, ScatterChart]);
use([BrushComponent, GridComponent, ParallelComponent, VisualMapContinuousComponent, CanvasRenderer]);
export { init } from "echarts/core";
