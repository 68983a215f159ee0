"""The slider and heatmap of `floor.py` in Dash, whose figures follow a drag too: `python dash_app.py PORT`."""

import sys

import numpy as np
from dash import Dash, Input, Output, Patch, callback, dcc, html

x = np.linspace(-3, 3, 64, dtype=np.float32)


def heat(k: int) -> np.ndarray:
    """What the heatmap shows at `k`: (64, 64)."""
    return np.sin(x[:, None] * k / 10) * np.cos(x[None, :] * k / 10)


app = Dash(__name__)
app.layout = html.Div(
    [
        dcc.Slider(1, 100, 1, value=1, id="k", updatemode="drag", marks=None),
        dcc.Graph(id="chart", figure={"data": [{"type": "heatmap", "z": heat(1)}], "layout": {"height": 400}}),
    ]
)


@callback(Output("chart", "figure"), Input("k", "value"), prevent_initial_call=True)
def turned(k: int) -> Patch:
    """Send the new numbers only, as Dash advises."""
    figure = Patch()
    figure["data"][0]["z"] = heat(k)
    return figure


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=sys.argv[1], debug=False)
